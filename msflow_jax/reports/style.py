"""The style sheet of the report: one column, light and dark, print."""

CSS = """
:root { color-scheme: light dark;
  --ground: #ffffff; --panel: #f5f7f9; --ink: #1c2733; --muted: #5d6b79; --line: #dfe4e9;
  --accent: #1f6fb2; --bad: #b3401a; --good: #1e7a4c; --note: #fff6e3; --note-line: #d9a441;
  --cell: 31, 111, 178; }
@media (prefers-color-scheme: dark) { :root {
  --ground: #14191f; --panel: #1c232b; --ink: #e6eaee; --muted: #9aa7b4; --line: #313b46;
  --accent: #6db3ee; --bad: #f0965a; --good: #63c596; --note: #2b2517; --note-line: #a67c2d;
  --cell: 80, 155, 220; } }
* { box-sizing: border-box; }
html { scroll-behavior: smooth; }
body { margin: 0; background: var(--ground); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, Arial, sans-serif; }
main, header, footer { max-width: 1020px; margin: 0 auto; padding: 0 24px; }
header { padding-top: 44px; }
h1 { font-size: 1.95rem; line-height: 1.2; margin: 0 0 4px; letter-spacing: -0.015em; }
h2 { font-size: 1.25rem; margin: 0 0 12px; letter-spacing: -0.01em; }
h3 { font-size: 0.98rem; margin: 26px 0 8px; }
p { margin: 0 0 12px; max-width: 46rem; text-wrap: pretty; }
section { padding: 34px 0 6px; border-top: 1px solid var(--line); margin-top: 30px; }
.subtitle, .muted, figcaption, footer { color: var(--muted); }
.reading { font-size: 1.08rem; margin-top: 20px; }
nav { display: flex; flex-wrap: wrap; gap: 4px 18px; margin: 18px 0 0; font-size: 0.9rem; }
a { color: var(--accent); text-decoration: none; }
a:hover { text-decoration: underline; }
.badge { display: inline-block; padding: 1px 10px; border-radius: 99px; font-size: 0.8rem;
  border: 1px solid var(--note-line); background: var(--note); margin-left: 8px;
  vertical-align: middle; letter-spacing: 0; font-weight: 500; }
.tiles { display: grid; grid-template-columns: repeat(auto-fill, minmax(212px, 1fr)); gap: 12px; }
.tile { background: var(--panel); border-radius: 10px; padding: 14px 16px; }
.tile b { display: block; font-size: 1.6rem; line-height: 1.25; font-weight: 650;
  font-variant-numeric: tabular-nums; letter-spacing: -0.02em; }
.tile span { display: block; font-size: 0.86rem; }
.tile small { display: block; color: var(--muted); font-size: 0.78rem; line-height: 1.35;
  margin-top: 3px; }
.missing, .notice { background: var(--panel); border-left: 3px solid var(--line);
  padding: 10px 14px; border-radius: 0 6px 6px 0; color: var(--muted); }
.notice { background: var(--note); border-color: var(--note-line); color: var(--ink); }
figure { margin: 0 0 20px; }
figure > picture > img { display: block; max-width: 100%; height: auto; }
figcaption { font-size: 0.86rem; margin-top: 8px; max-width: 46rem; line-height: 1.45; }
.pair { display: flex; flex-wrap: wrap; gap: 8px 40px; align-items: flex-start; }
.pair > * { flex: 1 1 380px; min-width: 0; }
.scroll { overflow-x: auto; margin-bottom: 14px; }
table { border-collapse: collapse; font-size: 0.9rem; font-variant-numeric: tabular-nums; }
caption, .table-note { text-align: left; color: var(--muted); font-size: 0.86rem;
  line-height: 1.45; }
caption { padding-bottom: 6px; } .table-note { margin-bottom: 6px; }
th, td { text-align: right; padding: 5px 12px; border-bottom: 1px solid var(--line);
  vertical-align: baseline; }
th, td { white-space: nowrap; }
th { font-weight: 550; } thead th { color: var(--muted); font-size: 0.82rem; }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
.pair th, .pair td { padding: 5px 8px; } th:last-child, td:last-child { padding-right: 2px; }
.pair th:first-child { padding-left: 0; }
td.text { text-align: left; white-space: normal; overflow-wrap: anywhere; }
.confusion td { text-align: center; min-width: 58px; padding: 6px 8px; line-height: 1.25;
  border: 2px solid var(--ground); border-radius: 6px; }
.confusion td small { display: block; color: var(--muted); font-size: 0.74rem; }
.confusion thead th { text-align: center; vertical-align: bottom; max-width: 130px;
  white-space: normal; line-height: 1.25; }
.confusion thead th:first-child { text-align: left; white-space: nowrap; max-width: none; }
.confusion th { border: 0; }
img.px { image-rendering: pixelated; display: block; }
.samples { display: grid; grid-template-columns: minmax(92px, auto) 1fr 1fr; gap: 12px 22px;
  align-items: center; }
.samples .head { color: var(--muted); font-size: 0.84rem; }
.samples .name { font-weight: 550; font-size: 0.9rem; line-height: 1.3; }
.samples img { width: 100%; max-width: 400px; height: auto; border-radius: 3px; }
.film { display: grid; gap: 4px; align-items: center; overflow-x: auto; }
.film img { width: 100%; min-width: 40px; height: auto; border-radius: 3px; }
.film .tag { font-size: 0.82rem; color: var(--muted); padding-right: 8px; }
.film .u { font-size: 0.78rem; color: var(--muted); text-align: center;
  font-variant-numeric: tabular-nums; }
.cells { display: flex; flex-wrap: wrap; gap: 16px 10px; margin: 0 0 18px; }
.cell { width: 112px; font-size: 0.76rem; line-height: 1.35; overflow-wrap: anywhere; }
.cell img { width: 112px; height: auto; border-radius: 3px; margin-bottom: 4px; }
.cell.two { width: 172px; } .cell.two .both { display: flex; gap: 4px; }
.cell.two img { width: 84px; }
.cells.wide { gap: 16px 34px; } .cell.three { width: min(416px, 100%); }
.cell.three .both { display: flex; gap: 4px; } .cell.three img { width: calc((100% - 8px) / 3); }
.temperatures { display: grid; gap: 16px 14px; align-items: center; overflow-x: auto; }
.temperatures img { width: 100%; min-width: 64px; height: auto; border-radius: 3px; }
.temperatures .head { color: var(--muted); font-size: 0.82rem; overflow-wrap: anywhere; }
.bad { color: var(--bad); } .good { color: var(--good); }
details { margin: 0 0 10px; } summary { cursor: pointer; color: var(--accent); }
details table { margin-top: 10px; }
footer { padding-top: 26px; padding-bottom: 60px; font-size: 0.84rem; }
@media (max-width: 640px) { .samples { grid-template-columns: 1fr; gap: 6px; }
  .samples .head { display: none; } main, header, footer { padding: 0 16px; }
  header { padding-top: 26px; } }
@media print { nav { display: none; } section { break-inside: avoid-page; } }
"""
