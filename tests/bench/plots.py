"""Two plots as SVG, written by hand: throughput by streams, and latency under load. Pure: figures in, text out."""

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 760, 420, 70, 170, 40, 50
COLOURS = ("#1b6ca8", "#d1495b", "#66a182", "#8d6a9f", "#edae49", "#2e4057")


def nice_top(value):
    """The least of 1, 2, 5 and 10 times a power of ten that is not below value."""
    if value <= 0:
        return 1
    power = 1.0
    while power > value:
        power /= 10
    while power * 10 < value:
        power *= 10
    return next(power * step for step in (1, 2, 5, 10) if power * step >= value)


def escape(text):
    return str(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def text(x, y, words, anchor="middle", size=12, more=""):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" {more}>{escape(words)}</text>'


def axes(title, unit, labels, top):
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
    parts = [text((LEFT + right) / 2, 22, title, size=15), text(16, (TOP + bottom) / 2, unit, more=f'transform="rotate(-90 16 {(TOP + bottom) / 2})"')]
    for step in range(6):
        y = bottom - (bottom - TOP) * step / 5
        parts.append(f'<line x1="{LEFT}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd"/>')
        parts.append(text(LEFT - 6, y + 4, f"{top * step / 5:g}", "end"))
    parts += [text(place(at, len(labels)), bottom + 18, label) for at, label in enumerate(labels)]
    return parts


def place(at, n):
    """Where the nth of n labels stands."""
    inner = WIDTH - RIGHT - LEFT
    return LEFT + inner * (at + 0.5) / n


def lines(title, unit, labels, curves):
    """curves: {name: [[low, middle, high] or None of each label]}. A bar from low to high, a line through the middles."""
    points = [point for curve in curves.values() for point in curve if point]
    top = nice_top(max((point[2] for point in points), default=1))
    bottom = HEIGHT - BOTTOM
    height = lambda value: bottom - (bottom - TOP) * min(value / top, 1)
    parts = axes(title, unit, labels, top)
    for nth, (name, curve) in enumerate(curves.items()):
        colour = COLOURS[nth % len(COLOURS)]
        there = [(place(at, len(labels)) + 4 * (nth - (len(curves) - 1) / 2), point) for at, point in enumerate(curve) if point]
        path = " ".join(f"{x:.1f},{height(point[1]):.1f}" for x, point in there)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        for x, (low, middle, high) in there:
            parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{height(low):.1f}" y2="{height(high):.1f}" stroke="{colour}"/>')
            parts.append(f'<circle cx="{x:.1f}" cy="{height(middle):.1f}" r="3.5" fill="{colour}"/>')
        y = TOP + 20 * nth + 10
        parts.append(f'<rect x="{WIDTH - RIGHT + 12}" y="{y - 9}" width="10" height="10" fill="{colour}"/>')
        parts.append(text(WIDTH - RIGHT + 28, y, name, "start"))
    return document(parts, HEIGHT)


def document(parts, height):
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif">'
    return "\n".join([head, f'<rect width="{WIDTH}" height="{height}" fill="white"/>', *parts, "</svg>\n"])


def stacked(charts):
    """Several charts in one file, one below the other."""
    parts = []
    for nth, chart in enumerate(charts):
        inner = chart.replace("<svg ", f'<svg x="0" y="{nth * HEIGHT}" width="{WIDTH}" height="{HEIGHT}" ', 1)
        parts.append(inner.rstrip())
    return document(parts, HEIGHT * len(charts))


def low_middle_high(values):
    return [min(values), sorted(values)[len(values) // 2], max(values)]


def throughput(streams):
    """streams: [{streams, alcazar: [rate of each round], llama.cpp: […]}]"""
    labels = [one["streams"] for one in streams]
    curves = {name: [low_middle_high(one[name]) for one in streams] for name in ("alcazar", "llama.cpp")}
    return lines("Decode of several streams together (lowest, median, highest round)", "tokens/s in all", labels, curves)


def latency(chats):
    """chats: [{clients, alcazar: [{first token p50, …} of each round], llama.cpp: […]}]"""
    labels = [one["clients"] for one in chats]
    charts = []
    for what, unit in (("first token", "s"), ("inter-token", "ms")):
        curves = {}
        for name in ("alcazar", "llama.cpp"):
            for percent in (50, 99):
                curves[f"{name} p{percent}"] = [low_middle_high([one[f"{what} p{percent}"] for one in chat[name]]) for chat in chats]
        charts.append(lines(f"{what.capitalize()} of a served chat, by clients (lowest, median, highest round)", unit, labels, curves))
    return stacked(charts)
