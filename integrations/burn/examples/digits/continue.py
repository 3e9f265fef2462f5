"""Trains the network for v further in PyTorch, with noise that tweedie drew, and writes the inputs and results of each step.

    cargo burn digits noise noise.safetensors --steps 100 --batch 16
    python continue.py --data digits.safetensors --noise noise.safetensors --out batches.safetensors
    cargo burn digits train batches.safetensors

The network, its batches of pictures, labels and timesteps, and the settings of Adam are those of train.py in examples/digits of the
repository, whose count of steps it continues. The learning rate rises from zero again, since Adam's moments begin at zero. Needs
torch, numpy and safetensors.
"""

import argparse
import pathlib
import sys
import time

import torch
import torch.nn as nn
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import load_file, save_file

ROOT = pathlib.Path(__file__).resolve().parents[4]
sys.path.insert(0, str(ROOT / "examples" / "digits"))
import train  # noqa: E402

WEIGHTS = ROOT / "apps" / "digits" / "weights" / "v.safetensors"
RATE = 1e-3
WARM_UP = 100
MOST = 1.0


def about(path):
    with safe_open(path, "pt") as file:
        return file.metadata() or {}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", required=True)
    parser.add_argument("--noise", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    noises = load_file(options.noise)["noise"]
    steps, size = noises.shape[:2]
    data = load_file(options.data)
    images = F.pad(data["images"][: -train.HELD_OUT].float() / 127.5 - 1, (2, 2, 2, 2), value=-1.0)[:, None]
    batches = train.Batches(images, data["labels"][: -train.HELD_OUT].long(), size)

    model = train.UNet()
    model.load_state_dict({name: weight.float() for name, weight in load_file(WEIGHTS).items()})
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, betas=(0.9, 0.99), weight_decay=0.0)
    first = int(about(WEIGHTS)["steps"])
    found = {name: [] for name in ("x0", "t", "labels", "rates", "losses", "norms")}
    begun = time.time()
    for step in range(steps):
        batch = batches.at(first + step)
        kept = batches.alphas[batch["t"]]
        alpha, sigma = (part.sqrt().float()[:, None, None, None] for part in (kept, 1 - kept))
        x0, noise = batch["x0"], noises[step]
        rate = RATE * min(1.0, (step + 1) / WARM_UP)
        for group in optimizer.param_groups:
            group["lr"] = rate
        output = model(alpha * x0 + sigma * noise, batch["t"], batch["labels"])
        loss = F.mse_loss(output, alpha * noise - sigma * x0)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(model.parameters(), MOST)
        optimizer.step()
        rate = torch.tensor(rate, dtype=torch.float64)
        values = (x0, batch["t"].int(), batch["labels"].int(), rate, loss.detach(), norm.detach())
        for name, value in zip(found, values):
            found[name].append(value)
        print(f"step {step + 1}: loss {loss.item():.5f}, norm {norm.item():.4f}", flush=True)
    seconds = (time.time() - begun) / steps
    words = {"seed": about(options.noise)["seed"], "first": str(first), "torch": torch.__version__.split("+")[0],
             "seconds": f"{seconds:.4f}"}
    save_file({name: torch.stack(values) for name, values in found.items()}, options.out, metadata=words)
    print(words)


if __name__ == "__main__":
    main()
