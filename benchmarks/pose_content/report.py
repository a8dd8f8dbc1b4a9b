"""From finished cells to the committed results: means and spreads over seeds, a table, a figure."""

import json
import math
import platform
import statistics
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
SECTIONS = {  # suite -> place in the results file
    "mnist_u": "mnist_u",
    "mnist_2d": "mnist_u",
    "mnist_quick": "mnist_u",
    "throughput": "throughput",
    "sprites": "sprites",
    "particles": "particles",
    "nuclei": "nuclei",
    "galaxies": "galaxies",
}
# what the table shows: name, where it stands, what the issue asks for
ROWS = (
    ("MNIST(U) clustering, Gaussian mixture", "mnist_u.gmm", ">= 0.88"),
    ("the same, one covariance for all components", "mnist_u.gmm_tied", ""),
    ("the same, k-means", "mnist_u.kmeans", ">= 0.88"),
    ("the prior's own components", "mnist_u.mixture_prior", ">= 0.90"),
    ("6 and 9 in each other's cluster", "mnist_u.six_nine_swapped", "stated"),
    ("content of 2 coordinates, Gaussian mixture", "mnist_u.gmm_2d", ">= 0.75"),
    ("linear probe", "mnist_u.linear_probe", ">= 0.95"),
    ("5 nearest neighbours", "mnist_u.knn", ">= 0.96"),
    ("angle from content, R^2 above shuffled", "mnist_u.leak_r2", "<= 0.02"),
    ("seconds to 0.634, two threads", "mnist_u.seconds_to_0634", "<= 60"),
    ("training throughput over pyroVED trVAE", "throughput_ratio.pyroved", ">= 100"),
    ("training throughput over plain CNN", "throughput_ratio.plain", ">= 20"),
    ("pose consistency, median, degrees", "consistency.median_degrees", "<= 1"),
    ("pose consistency, 95th percentile", "consistency.p95_degrees", "<= 5"),
    ("position consistency, median, px", "consistency.shift_px", "<= 0.1"),
    ("cluster changes under motion, %", "cluster_change_percent.any", "<= 0.5"),
    ("the same at quarter turns, %", "cluster_change_percent.quarter_turn", "0"),
    ("sprites: pose against truth, median, degrees", "sprites.median_degrees", "<= 1"),
    ("sprites: 95th percentile, degrees", "sprites.p95_degrees", "<= 4"),
    ("sprites: coverage of 90 % sets", "sprites.coverage90", "0.87-0.93"),
    ("sprites: symmetry order right", "sprites.symmetry_order_accuracy", ">= 0.98"),
)


def write_report(folder: Path, results: Path) -> None:
    """Collect what is there; a suite without cells is left out."""
    report = collect(folder)
    results.mkdir(parents=True, exist_ok=True)
    (results / "pose_content.json").write_text(json.dumps(report, indent=2) + "\n")
    (results / "pose_content.md").write_text(table(report))
    print(table(report))
    figure(report, results / "pose_content.png")


def collect(folder: Path) -> dict[str, Any]:
    report: dict[str, Any] = {
        "machine": f"{platform.machine()}, {platform.python_version()}, no GPU",
        "published": json.loads((HERE / "peers" / "published.json").read_text()),
    }
    for suite, place in SECTIONS.items():
        cells = [json.loads(p.read_text()) for p in sorted(folder.glob(f"{suite}-[0-9]*.json"))]
        if not cells:
            continue
        seeds = sorted(int(p.stem.rsplit("-", 1)[1]) for p in folder.glob(f"{suite}-[0-9]*.json"))
        section = report.setdefault(place, {})
        section.setdefault("seeds", {})[suite] = seeds
        for name in sorted({key for cell in cells for key in cell}):
            key = f"{suite}_cell_seconds" if name == "cell_seconds" else name
            mean, spread = mean_and_spread([cell.get(name) for cell in cells])
            group, _, rest = key.partition("/")
            known = ("consistency", "cluster_change_percent", "throughput_ratio")
            target = report.setdefault(group, {}) if group in known else section
            rest = rest if group in known else key.replace("/", ".")
            target[rest], target[f"{rest}_std"] = mean, spread
    growth = {}
    for path in sorted(folder.glob("growth-0.json")):
        growth["image_size"] = json.loads(path.read_text())
    counts = sorted(folder.glob("growth_images-*.json"), key=lambda p: int(p.stem.split("-")[1]))
    if counts:
        growth["images"] = {p.stem.split("-")[1]: json.loads(p.read_text()) for p in counts}
    if growth:
        report["growth"] = growth
    particles = report.get("particles", {})
    if "snr01.class_accuracy" in particles:
        report["particles_snr01"] = best_peer(particles)
    return report


def best_peer(particles: dict[str, Any]) -> dict[str, float]:
    """Ours at SNR 0.1 beside the best peer in each measure."""
    found = {}
    for name, better in (("class_accuracy", max), ("median_degrees", min)):
        for key in (name, f"{name}_std"):
            found[key] = particles[f"snr01.{key}"]
        peers = {
            key: value
            for key, value in particles.items()
            if key.startswith("snr01.") and key.endswith(f".{name}") and key.count(".") == 2
        }
        if peers:
            key = better(peers, key=peers.get)
            found[f"best_peer_{name}"] = peers[key]
            found[f"best_peer_{name}_std"] = particles[f"{key}_std"]
            found[f"best_peer_{name}_is"] = key.split(".")[1]
    return found


def mean_and_spread(values: list[float | None]) -> tuple[float | None, float | None]:
    known = [v for v in values if v is not None and math.isfinite(v)]
    if not known:
        return None, None
    return statistics.fmean(known), statistics.stdev(known) if len(known) > 1 else 0.0


def table(report: dict[str, Any]) -> str:
    lines = ["# Pose and content, measured", ""]
    lines += [
        "Means and standard deviations over seeds; `python benchmarks/pose_content/run.py`.",
        "",
    ]
    seeds = {
        suite: " ".join(map(str, found))
        for part in report.values()
        if isinstance(part, dict)
        for suite, found in part.get("seeds", {}).items()
    }
    lines += ["Seeds: " + "; ".join(f"{suite} {known}" for suite, known in seeds.items()) + ".", ""]
    lines += ["| what | measured | asked |", "|---|---|---|"]
    for label, path, asked in ROWS:
        section, name = path.split(".", 1)
        value = report.get(section, {}).get(name)
        if value is not None:
            spread = report[section].get(f"{name}_std", 0.0)
            lines.append(f"| {label} | {value:.3g} +- {spread:.2g} | {asked} |")
    for section in ("particles", "nuclei", "galaxies"):
        lines += peer_table(section, report.get(section, {}))
    if "growth" in report:
        lines += growth_table(report["growth"])
    return "\n".join(lines) + "\n"


def peer_table(section: str, values: dict[str, Any]) -> list[str]:
    """One row for us and for each peer, one column for each measure."""
    peers = ("zernike", "power_spectrum", "aligned_kmeans", "plain_vae", "pyroved")
    cells: dict[tuple[str, str], str] = {}
    for key, value in values.items():
        if key.endswith("_std") or value is None or not isinstance(value, float | int):
            continue
        parts = key.split(".")
        who = next((p for p in parts if p in peers), "eqvae")
        what = " ".join(p for p in parts if p != who)
        if "seconds" not in what:
            cells[who, what] = f"{value:.3g} +- {values.get(f'{key}_std') or 0:.2g}"
    columns = sorted({what for _, what in cells})
    if not columns:
        return []
    lines = [
        "",
        f"## {section}",
        "",
        f"| | {' | '.join(columns)} |",
        "|---" * (len(columns) + 1) + "|",
    ]
    for who in ("eqvae", *peers):
        row = [cells.get((who, what), "") for what in columns]
        if any(row):
            lines.append(f"| {who} | {' | '.join(row)} |")
    return lines


def growth_table(growth: dict[str, Any]) -> list[str]:
    lines = [
        "",
        "## Growth",
        "",
        "| image size | training images/s, one thread | peak MB |",
        "|---|---|---|",
    ]
    sizes = growth.get("image_size", {})
    for size in (32, 64, 128, 256):
        if f"size_{size}/peak_mb" in sizes:
            rate, peak = sizes[f"size_{size}/images_per_second"], sizes[f"size_{size}/peak_mb"]
            lines.append(f"| {size} | {rate:.0f} | {peak:.0f} |")
    lines += ["", "| images embedded | seconds | peak MB |", "|---|---|---|"]
    for count, row in growth.get("images", {}).items():
        lines.append(f"| {int(count):,} | {row['seconds']:.1f} | {row['peak_mb']:.0f} |")
    return lines


def figure(report: dict[str, Any], path: Path) -> None:
    """Growth with image size and with the number of images."""
    from matplotlib.figure import Figure

    growth = report.get("growth", {})
    if not growth:
        return
    picture = Figure(figsize=(9, 3.2), layout="constrained")
    left, right = picture.subplots(1, 2)
    sizes = growth.get("image_size", {})
    known = [s for s in (32, 64, 128, 256) if f"size_{s}/images_per_second" in sizes]
    left.loglog([s * s for s in known], [sizes[f"size_{s}/images_per_second"] for s in known], "o-")
    left.set(xlabel="pixels", ylabel="training images / s", title="image size, one thread")
    rows = growth.get("images", {})
    count = [int(c) for c in rows]
    right.loglog(count, [row["seconds"] for row in rows.values()], "o-", label="seconds")
    right.loglog(count, [row["peak_mb"] for row in rows.values()], "s--", label="peak memory, MB")
    right.set(xlabel="images of 32x32", title="describing images (embed)")
    right.legend(frameon=False)
    picture.savefig(path, dpi=110)
