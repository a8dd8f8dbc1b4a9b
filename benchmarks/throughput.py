"""Training images per second and memory: every family, beside a plain CNN in the same process.

    python benchmarks/throughput.py                     on one thread and on two
    python benchmarks/throughput.py --device cuda       on a GPU: float32, bfloat16, torch.compile

A step is forward, backward and optimizer on a batch of random images that is already on the device. Families
take turns, so that a machine that is busy with something else slows all of them alike.
Writes benchmarks/results/throughput_<device>.json.
"""

import argparse
import json
import platform
import resource
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch

from eqvae.config import build, compose
from eqvae.data.batch import Batch

RESULTS = Path(__file__).resolve().parent / "results"
FAMILIES = {
    "plain": ["model=plain"],
    "harmonic": ["model=harmonic"],
    "pose": ["model=pose"],
    "steerable": ["model=steerable"],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--size", type=int, default=50, help="side of the images, pixels")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.5, help="of a family in a round")
    parser.add_argument("--families", nargs="+", default=list(FAMILIES), choices=FAMILIES)
    options = parser.parse_args()
    ways = [{"threads": 1}, {"threads": 2}]
    if options.device != "cpu":
        ways = [{}, {"precision": "bfloat16"}, {"compiled": True}]
    results = {
        "device": device_name(options.device),
        "torch": torch.__version__,
        "batch_size": options.batch_size,
        "image_size": options.size,
        "images_per_second": {},
    }
    for way in ways:
        name = ", ".join(f"{key} {value}" for key, value in way.items()) or "float32"
        results["images_per_second"][name] = measure(options, **way)
        print(name, json.dumps(results["images_per_second"][name]), flush=True)
    results["peak_memory_mb"] = peak_memory(options.device)
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"throughput_{torch.device(options.device).type}.json"
    path.write_text(json.dumps(results, indent=2) + "\n")


def measure(
    options: argparse.Namespace,
    threads: int | None = None,
    precision: str | None = None,
    compiled: bool = False,
) -> dict[str, float | str]:
    """Median images per second by family; the reason where one can't run this way."""
    if threads is not None:
        torch.set_num_threads(threads)
    found: dict[str, float | str] = {}
    steps = {}
    for family in options.families:
        try:
            steps[family] = step_of(family, options, precision, compiled)
            steps[family]()
        except (RuntimeError, NotImplementedError, TypeError) as error:
            steps.pop(family, None)
            found[family] = f"failed: {str(error).splitlines()[0][:200]}"
    times: dict[str, list[float]] = {family: [] for family in steps}
    for _ in range(options.rounds):
        for family, step in steps.items():
            times[family].append(seconds_a_step(step, options))
    for family, seconds in times.items():
        found[family] = round(options.batch_size / statistics.median(seconds), 1)
    return found


def step_of(
    family: str, options: argparse.Namespace, precision: str | None, compiled: bool
) -> Callable[[], None]:
    """A training step of a family."""
    device = torch.device(options.device)
    config = compose(FAMILIES[family], image_shape=(1, options.size, options.size))
    model, objective = build(config["model"]).to(device), build(config["objective"])
    make = build(config["optimizer"], allow=("eqvae.", "torch.optim."))
    optimizer = make(model.parameters())
    image = torch.rand(options.batch_size, 1, options.size, options.size, device=device)
    batch = Batch(image)
    if compiled:
        model.encoder.compile()
        model.decoder.compile()

    def step() -> None:
        optimizer.zero_grad()
        with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16"):
            loss = objective(model, batch, 0)[0]
        loss.backward()
        optimizer.step()

    return step


def seconds_a_step(step: Callable[[], None], options: argparse.Namespace) -> float:
    synchronise = torch.cuda.synchronize if options.device.startswith("cuda") else lambda: None
    step()
    synchronise()
    begin, count = time.perf_counter(), 0
    while time.perf_counter() - begin < options.seconds:
        step()
        synchronise()
        count += 1
    return (time.perf_counter() - begin) / count


def peak_memory(device: str) -> float:
    """Of the process, or of the GPU, MB."""
    if device.startswith("cuda"):
        return torch.cuda.max_memory_allocated() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def device_name(device: str) -> str:
    if device.startswith("cuda"):
        return torch.cuda.get_device_name()
    return f"{platform.machine()}, {torch.get_num_threads()} threads by default"


if __name__ == "__main__":
    main()
