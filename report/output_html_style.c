/* SPDX-License-Identifier: MIT
 * The head of the HTML page. The page loads nothing and runs nothing: its own policy forbids it,
 * whatever a report could smuggle in.
 */
#include "output_internal.h"

static const char head[] =
    "<!DOCTYPE html>\n"
    "<html lang=\"en\">\n"
    "<head>\n"
    "<meta charset=\"utf-8\">\n"
    "<meta http-equiv=\"Content-Security-Policy\" "
    "content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
    "<meta name=\"color-scheme\" content=\"light dark\">\n"
    "<title>Encrypted mail delivery</title>\n";

/* Classes: bad, wait, ok: verdicts; v: box of one; p: its short form in a table; t: a badge; k: key
 * numbers; f4: a table of failures; a: advice; c: a line about a policy; n: a number; d: a day, not
 * broken; m: muted; ax: labels of the chart; g, f, z: its bars; sg, sf: samples of their colours.
 */
static const char style[] =
    "<style>\n"
    ":root{--bg:#fff;--fg:#1d2733;--mut:#5d6b7a;--line:#dfe4ea;--soft:#f5f7f9;--link:#1f5f99;"
    "--ok:#1c7548;--okb:#eaf6ef;--wait:#8a5a00;--waitb:#fdf4e0;--bad:#b3261e;--badb:#fcecea;"
    "--good:#6d9dc5;--fail:#cf3a30}\n"
    "@media screen and (prefers-color-scheme:dark){:root{--bg:#14191f;--fg:#dde4eb;--mut:#93a1b0;"
    "--line:#2c3641;--soft:#1b222a;--link:#7fb5e6;--ok:#6fcf97;--okb:#15291e;--wait:#f0bd5a;"
    "--waitb:#2d2410;--bad:#ff8a80;--badb:#331917;--good:#4f7fa8;--fail:#ff6b5e}}\n"
    "*{box-sizing:border-box}\n"
    "body{margin:0 auto;max-width:58rem;padding:2.5rem 1.5rem 4rem;background:var(--bg);"
    "color:var(--fg);font:16px/1.5 system-ui,-apple-system,\"Segoe UI\",Roboto,\"Helvetica Neue\","
    "Arial,sans-serif;overflow-wrap:anywhere;-webkit-text-size-adjust:100%}\n"
    "h1,h2,h3{line-height:1.25;font-weight:600;margin:0}\n"
    "h1{font-size:1.9rem;letter-spacing:-.01em}\n"
    "h2{font-size:1.45rem;margin-bottom:.9rem}\n"
    "h3{font-size:1.05rem;margin:2rem 0 .6rem}\n"
    "p{margin:.5rem 0}\n"
    "a{color:var(--link);text-decoration:none}\n"
    "a:hover{text-decoration:underline}\n"
    "h2,h3,p,td,a,b,li,pre{unicode-bidi:isolate}\n"
    "section{border-top:1px solid var(--line);margin-top:3rem;padding-top:2rem}\n"
    ".m{color:var(--mut)}\n"
    ".d{white-space:nowrap}\n"
    "small,.m small{font-size:.86em;color:var(--mut)}\n"
    ".lead{font-size:1.1rem}\n"
    ".v{border-left:.3rem solid;border-radius:.25rem;padding:.8rem 1.1rem}\n"
    ".v b{font-size:1.15rem;display:block}\n"
    ".v b::first-letter,li::first-letter,.a::first-letter{text-transform:uppercase}\n"
    ".v ul{margin:.4rem 0 0;padding-left:1.2rem;color:var(--fg)}\n"
    ".ok{color:var(--ok);background:var(--okb)}\n"
    ".wait{color:var(--wait);background:var(--waitb)}\n"
    ".bad{color:var(--bad);background:var(--badb)}\n"
    ".p,.t{display:inline-block;border-radius:1rem;padding:.05rem .65rem;font-size:.86em;"
    "font-weight:600;white-space:nowrap}\n"
    ".t{background:var(--soft);color:var(--mut);margin-left:.4rem}\n"
    ".t.ok{color:var(--ok);background:var(--okb)}\n"
    ".t.wait{color:var(--wait);background:var(--waitb)}\n";

/* Numbers, tables, chart, policies; then narrow windows and paper. */
static const char parts[] =
    ".k{display:grid;grid-template-columns:repeat(auto-fit,minmax(7.5rem,1fr));gap:1rem;"
    "margin:1.4rem 0 .6rem}\n"
    ".k p{margin:0}\n"
    ".k p>span{display:block;font-size:.86rem;color:var(--mut)}\n"
    ".k b{font-size:1.2rem;font-weight:600;font-variant-numeric:tabular-nums}\n"
    "table{border-collapse:collapse;width:100%;font-size:.94rem;"
    "font-variant-numeric:tabular-nums}\n"
    "th,td{text-align:left;vertical-align:top;padding:.45rem .9rem .45rem 0;"
    "border-bottom:1px solid var(--line)}\n"
    "th{font-size:.86rem;font-weight:500;color:var(--mut);overflow-wrap:normal}\n"
    "th:last-child,td:last-child{padding-right:0}\n"
    ".n{text-align:right;white-space:nowrap}\n"
    "td small,.k small{display:block}\n"
    "th[colspan]{font-size:1em;color:inherit;padding-top:1.3rem}\n"
    "th p{font-weight:400;margin:.25rem 0 0}\n"
    "header{margin-bottom:1.8rem}\n"
    ".f4{table-layout:fixed}\n"
    ".f4 th{width:24%}.f4 th:first-child{width:40%}.f4 th.n{width:12%}\n"
    "figure{margin:1.6rem 0 0}\n"
    "svg{display:block;width:100%;height:140px;border-bottom:1px solid var(--mut);margin:.2rem 0}\n"
    "svg line{stroke:var(--line);stroke-width:1;vector-effect:non-scaling-stroke}\n"
    ".g,.sg{fill:var(--good);color:var(--good)}\n"
    ".f,.sf{fill:var(--fail);color:var(--fail)}\n"
    ".z{fill:var(--mut)}\n"
    ".ax{display:flex;justify-content:space-between;font-size:.82rem;color:var(--mut);"
    "font-variant-numeric:tabular-nums}\n"
    ".ax i{font-style:normal;margin-left:.7em}\n"
    "figcaption{font-size:.86rem;color:var(--mut);margin-top:.3rem}\n"
    "pre{margin:.4rem 0 1.4rem;padding:.7rem .9rem;background:var(--soft);border-radius:.25rem;"
    "font:.86rem/1.5 ui-monospace,Consolas,Menlo,monospace;white-space:pre-wrap}\n"
    "footer{border-top:1px solid var(--line);margin-top:3rem;padding-top:1rem;font-size:.94rem}\n"
    "footer ul{padding-left:1.2rem}\n"
    "@media(max-width:34rem){body{padding:1.5rem 1rem 3rem;font-size:15px}h1{font-size:1.55rem}"
    "h2{font-size:1.25rem}table{font-size:.86rem}th,td{padding-right:.6rem}"
    ".k{grid-template-columns:1fr 1fr}.f4 thead{display:none}"
    ".f4,.f4 tbody{display:block}"
    ".f4 tr{display:flex;flex-wrap:wrap;gap:0 1rem;border-bottom:1px solid var(--line);"
    "padding:.5rem 0}.f4 td,.f4 th[colspan]{border:0;padding:0;width:auto}"
    ".f4 td:first-child,.f4 th[colspan]{flex:1 0 100%}.f4 th[colspan]{padding-top:.8rem}"
    ".f4 td:nth-child(2)::before{content:\"from \"}.f4 td.n::before{content:\"sessions: \"}}\n"
    "@media print{body{max-width:none;padding:0;font-size:11pt}"
    "*{-webkit-print-color-adjust:exact;print-color-adjust:exact}"
    "h2,h3,.c{break-after:avoid}figure,tr,.v,.k,pre{break-inside:avoid}a{color:inherit}}\n"
    "</style>\n</head>\n<body>\n";

void html_head(FILE *out)
{
    fputs(head, out);
    fputs(style, out);
    fputs(parts, out);
}
