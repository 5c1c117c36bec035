/* SPDX-License-Identifier: MIT
 * From operands to bytes: files, mbox files, Maildirs, directories, standard input.
 */
#ifndef REPORT_INPUT_H
#define REPORT_INPUT_H

#include "report/unpack.h"

#define INPUT_DEPTH_MAX 8 /* of directories */

/* Reads a file, a directory with all that is below it, or standard input ("-"), and hands it to
 * unpack.h. False if the operand itself could not be opened (said as a fault). Memory: a message or
 * a report at a time. */
bool input_read(const struct unpack_sink *sink, const char *path);

#endif
