"""Times the example against PyTorch on the same processor, in turns, so that whatever else runs slows both.

    cargo build --release --example digits
    python compare.py --program target/release/examples/digits --weights apps/digits/weights/v.safetensors

Both make the predictions of 30 digits: 10 calls of 60. Wall time depends on what else runs; processor time, the sum over
all cores, hardly does. Needs what train.py needs.
"""

import argparse
import os
import resource
import statistics
import subprocess
import tempfile
import time

import torch
from safetensors.torch import load_file

from train import NULL_CLASS, SIDE, UNet

DIGITS = 30
CALLS = 10
RUNS = 3  # of the example in a process; the first includes the driver's compilation and does not count


def used(who):
    usage = resource.getrusage(who)
    return usage.ru_utime + usage.ru_stime


def example(program, out):
    """Seconds of a run, and its processor seconds: those of a process with several runs minus those of one with a single run."""
    def process(runs):
        begun = used(resource.RUSAGE_CHILDREN)
        command = [program, out, "--columns", str(DIGITS // 10), "--calls", str(CALLS), "--runs", str(runs)]
        text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        lines = [line for line in text.splitlines() if "GFLOP/s" in line]
        seconds = [float(line.split(": ")[1].split(" s")[0]) for line in lines]
        return seconds, used(resource.RUSAGE_CHILDREN) - begun
    _, once = process(1)
    seconds, several = process(RUNS)
    return statistics.mean(seconds[1:]), (several - once) / (RUNS - 1)


def pytorch(model):
    """The same for the same predictions in PyTorch."""
    x = torch.randn(2 * DIGITS, 1, SIDE, SIDE)
    labels = torch.cat([torch.arange(DIGITS) % 10, torch.full((DIGITS,), NULL_CLASS)])
    t = torch.full((2 * DIGITS,), 500)
    with torch.no_grad():
        model(x, t, labels)
        begun, processor = time.time(), used(resource.RUSAGE_SELF)
        for _ in range(CALLS):
            model(x, t, labels)
    return time.time() - begun, used(resource.RUSAGE_SELF) - processor


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", required=True)
    parser.add_argument("--weights", required=True)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    model = UNet()
    model.load_state_dict({name: weight.float() for name, weight in load_file(options.weights).items()})
    ratios = []
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(options.rounds):
            ours, theirs = example(options.program, os.path.join(folder, "digits.png")), pytorch(model)
            ratios.append([a / b for a, b in zip(ours, theirs)])
            load = os.getloadavg()[0]
            print(f"example {ours[0]:.2f} s, {ours[1]:.2f} processor s; PyTorch {theirs[0]:.2f} s, {theirs[1]:.2f} "
                  f"processor s; load {load:.1f}", flush=True)
    wall, processor = (statistics.median(ratio) for ratio in zip(*ratios))
    print(f"the example takes {wall:.1f} times as long as PyTorch, and {processor:.1f} times as much processor time (medians)")


if __name__ == "__main__":
    main()
