#!/bin/sh
# The manual pages and the sources must name the same things: finding codes, options, INI keys, log
# events and reasons.
set -eu

cd "$(dirname "$0")/../.."
page=man/mta-stsd.8
ini_page=man/mta-stsd.ini.5
status=0

# all_in WHAT WHERE WANTED PRESENT: each word of the list WANTED must be in the list PRESENT.
all_in() {
	if [ -z "$3" ]; then
		echo "check-docs: found no $1 to look for: mend this script" >&2
		status=1
	fi
	present=" $(printf '%s' "$4" | tr '\n' ' ') "
	for word in $3; do
		case $present in
		*" $word "*) ;;
		*)
			echo "check-docs: $1 $word is not in $2" >&2
			status=1
			;;
		esac
	done
}

# section PAGE HEADING: the source lines of one section.
section() {
	awk -v heading=".Sh $2" '/^\.Sh /{inside = $0 == heading; next} inside' "$1"
}

# Any literal in capitals is taken for a code, wherever findings are made: those in tables too. Only
# names of environment variables are not.
# shellcheck disable=SC2046 # no blanks in these names
codes=$(sed -E '/((get|set)env|read_variable)\(/d' $(grep -l finding ./*.c) |
	grep -oE '"[A-Z][A-Z0-9_]*"|error\[[A-Z_]+\]' | sed 's/^error//' | tr -d '"[]' | sort -u)
documented=$(section $page FINDINGS | awk '$1 == ".It" && $2 == "Sy" {print $3}')
all_in "finding code" $page "$codes" "$documented"
all_in "documented finding code" "the sources" "$documented" "$codes"

# The same of mta-sts-check, whose codes that are not its own are translated in checks_policy.c.
check_page=man/mta-sts-check.1
codes=$(sed -E '/^    \{"[A-Z_]+", ".*", "/s/^    \{"[A-Z_]+", //; /getenv\(|strcmp\(f->code|strncmp\(f->code/d' check/checks*.c check/output.c |
	grep -oE '"[A-Z][A-Z0-9_]*_[A-Z0-9_]*"|"TLSA"' | tr -d '"' | sort -u)
documented=$(section $check_page FINDINGS | awk '$1 == ".It" && $2 == "Sy" {print $3}')
all_in "finding code" $check_page "$codes" "$documented"
all_in "documented finding code" "check/" "$documented" "$codes"

# options_in SOURCE PAGE: what --help names, as the manual's macros write it: "--check" is "-check"
# behind Fl.
options_in() {
	options=$(sed -n '/^static const char help\[\]/,/;$/p' "$1" |
		grep -oE -- '(^|[ ",[])--?[a-z][a-z-]*' | grep -oE -- '-[a-z].*' | sed 's/^-\(.\)$/\1/' | sort -u)
	documented=$(grep -oE 'Fl (-[a-z-]+|[a-z])' "$2" | cut -d' ' -f2 | sort -u)
	all_in "option (after its first hyphen)" "$2" "$options" "$documented"
}
options_in main.c $page
options_in check/main.c $check_page
options_in report/main.c man/mta-sts-report.1

keys=$(grep -oE '^ *\{"[a-z_]+", (true|false), offsetof' config_ini.c | cut -d'"' -f2 | sort -u)
documented=$(sed -n 's/^\.It Cm //p' $ini_page | tr -s ' ,' '\n')
all_in "INI key" $ini_page "$keys" "$documented"

log_lines=$(section $page 'LOG LINES' | grep -oE '[a-z0-9_]+' | sort -u)
events=$(grep -ohE '\b(log_begin|log_text|conn_stop|stop|report|proceed)\([^"]*"[a-z_]+"' ./*.c |
	cut -d'"' -f2 | sort -u)
all_in "log event" $page "$events" "$log_lines"
reasons=$(grep -hE '^ *\{(MBEDTLS_ERR_[A-Z_]*|[0-9]+), "[a-z_]+"\}|set_reason\(conn, "|refuse\(fd' \
	tls_conn.c server.c | grep -oE '"[a-z_]+"' | tr -d '"' | sort -u)
# These two are followed by a number.
all_in "log reason" $page "$reasons" "$(printf '%s\n' "$log_lines" | sed -E 's/^(alert|mbedtls)_$/\1/')"
exit $status
