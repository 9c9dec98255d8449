# Draws rainfall.csv as a bar chart, with the standard library only: the sandbox has nothing else.
import csv

rows = list(csv.DictReader(open("rainfall.csv")))
top = max(float(row["mm"]) for row in rows)
bars = []
for i, row in enumerate(rows):
    x, height = 24 + 34 * i, 100 * float(row["mm"]) / top
    bars.append(f'<rect x="{x}" y="{120 - height:.1f}" width="24" height="{height:.1f}" fill="steelblue"/>')
    bars.append(f'<text x="{x + 12}" y="{115 - height:.1f}">{row["mm"]}</text><text x="{x + 12}" y="134">{row["month"]}</text>')
width = 34 + 34 * len(rows)
open("rainfall.svg", "w").write(
    f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} 142" width="{3 * width}" '
    f'font-family="sans-serif" font-size="9" text-anchor="middle">'
    f'<title>Rainfall in mm</title><path d="M14 120H{width - 6}" stroke="grey"/>{"".join(bars)}</svg>\n'
)
