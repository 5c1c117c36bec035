/* SPDX-License-Identifier: MIT
 * What a lint or a check found. The texts quote INI values, policies and certificates, so every
 * byte of them is taken for hostile and escaped once, when the finding is added.
 */
#include "finding.h"

#include <stdarg.h>
#include <string.h>

#include "text.h"

#define TEXT_MAX 1024

static const char *const severity_names[] = {
    [FINDING_INFO] = "info",
    [FINDING_UNTESTED] = "untested",
    [FINDING_WARNING] = "warning",
    [FINDING_ERROR] = "error",
};

const char *finding_severity_name(enum finding_severity severity)
{
    return severity_names[severity];
}

/* A formatted text made safe to print, in the list's memory. */
__attribute__((format(printf, 2, 0))) static const char *keep_text(struct finding_list *list,
                                                                   const char *format, va_list args)
{
    char raw[TEXT_MAX], safe[4 * TEXT_MAX];
    struct text text;
    int len = vsnprintf(raw, sizeof raw, format, args);

    text_init(&text, safe, sizeof safe);
    text_add_escaped(&text, raw, len < 0 ? 0 : strlen(raw), "");
    return arena_copy(&list->arena, safe, text.len);
}

/* Takes a text in the list's memory; NULL: there was none for it. */
static void append(struct finding_list *list, enum finding_severity severity, const char *code,
                   struct place place, const char *text)
{
    /* Errors are counted even where there is no memory left to say which. */
    list->errors += severity == FINDING_ERROR;
    list->warnings += severity == FINDING_WARNING;
    list->untested += severity == FINDING_UNTESTED;
    struct finding *items = arena_grow(&list->arena, list->items, list->count, sizeof *list->items);
    const char *file =
        place.file == NULL ? NULL : arena_copy(&list->arena, place.file, strlen(place.file));
    if (items == NULL || text == NULL || (place.file != NULL && file == NULL)) {
        list->out_of_memory = true;
        return;
    }
    place.file = file;
    list->items = items;
    list->items[list->count++] =
        (struct finding){.severity = severity, .code = code, .place = place, .text = text};
}

void finding_add(struct finding_list *list, enum finding_severity severity, const char *code,
                 struct place place, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    const char *text = keep_text(list, format, args);
    va_end(args);
    append(list, severity, code, place, text);
}

void finding_add_copy(struct finding_list *list, const struct finding *from,
                      enum finding_severity severity, const char *code, struct place place)
{
    append(list, severity, code, place, arena_copy(&list->arena, from->text, strlen(from->text)));
}

void finding_add_fix(struct finding_list *list, const char *format, ...)
{
    va_list args;

    if (list->count == 0)
        return;
    va_start(args, format);
    list->items[list->count - 1].fix = keep_text(list, format, args);
    va_end(args);
    list->out_of_memory |= list->items[list->count - 1].fix == NULL;
}

bool finding_list_ok(const struct finding_list *list)
{
    return list->errors == 0 && !list->out_of_memory;
}

/* The sender of a report chooses the name of its file, so the name is escaped too. */
static void print_place(const struct place *place, FILE *out)
{
    char piece[8];
    struct text text;

    if (place->file != NULL) {
        for (const char *p = place->file; *p != '\0'; p++) {
            text_init(&text, piece, sizeof piece);
            text_add_escaped(&text, p, 1, "");
            fputs(piece, out);
        }
        putc(':', out);
    }
    if (place->line != 0)
        fprintf(out, "%u:", place->line);
    if (place->column != 0)
        fprintf(out, "%u:", place->column);
    if (place->file != NULL || place->line != 0 || place->column != 0)
        putc(' ', out);
}

void finding_print(const struct finding_list *list, FILE *out)
{
    for (size_t i = 0; i < list->count; i++) {
        const struct finding *f = &list->items[i];
        print_place(&f->place, out);
        fprintf(out, "%s[%s]: %s\n", severity_names[f->severity], f->code, f->text);
    }
    if (list->out_of_memory)
        fputs("error[NO_MEMORY]: out of memory; findings are missing\n", out);
}

void finding_print_json(const struct finding_list *list, FILE *out)
{
    fputs("{\"findings\":[", out);
    for (size_t i = 0; i < list->count; i++) {
        const struct finding *f = &list->items[i];
        fprintf(out, "%s\n {\"severity\":\"%s\",\"code\":\"%s\"", i > 0 ? "," : "",
                severity_names[f->severity], f->code);
        if (f->place.file != NULL) {
            fputs(",\"file\":", out);
            text_json_string(out, f->place.file);
        }
        if (f->place.line != 0)
            fprintf(out, ",\"line\":%u", f->place.line);
        if (f->place.column != 0)
            fprintf(out, ",\"column\":%u", f->place.column);
        fputs(",\"text\":", out);
        text_json_string(out, f->text);
        putc('}', out);
    }
    fprintf(out, "],\n \"errors\":%zu,\"warnings\":%zu}\n",
            list->errors + (list->out_of_memory ? 1 : 0), list->warnings);
}

void finding_list_free(struct finding_list *list)
{
    arena_free(&list->arena);
    *list = (struct finding_list){0};
}
