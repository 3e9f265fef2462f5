"""Trains the classifier of the study: three convolutions of 3 x 3, each with ReLU and a maximum over 2 x 2, then 32 features.

    python classifier.py --data digits.safetensors --out ../digits_study

The training pictures are shifted by up to two pixels, and rotated and scaled slightly. Writes classifier.safetensors, the weights in
f16, and held_out.safetensors: the digits that no network here was trained on, and the features and logits of the first eight by
these weights.
Needs what train.py needs.
"""

import argparse
import math
import os
import time

import torch
import torch.nn as nn
import torch.nn.functional as F
from safetensors.torch import load_file, save_file

from train import HELD_OUT, SIDE

WIDTHS = (12, 24, 48)
FEATURES = 32
CLASSES = 10
SHIFT = 2  # pixels
TURN = 0.2  # radians
SCALE = 0.1
RECORDED = 8
EVALUATED = 500  # pictures at once


class Classifier(nn.Module):
    """Pictures of 32 x 32 in -1..1; the features are those before the last ReLU."""

    def __init__(self):
        super().__init__()
        a, b, c = WIDTHS
        self.conv1 = nn.Conv2d(1, a, 3, padding=1)
        self.conv2 = nn.Conv2d(a, b, 3, padding=1)
        self.conv3 = nn.Conv2d(b, c, 3, padding=1)
        self.features = nn.Linear(c * (SIDE // 8) ** 2, FEATURES)
        self.classes = nn.Linear(FEATURES, CLASSES)

    def forward(self, x):
        for conv in (self.conv1, self.conv2, self.conv3):
            x = F.max_pool2d(F.relu(conv(x)), 2)
        features = self.features(x.flatten(1))
        return features, self.classes(F.relu(features))


def framed(images):
    return F.pad(images.float() / 127.5 - 1, (2, 2, 2, 2), value=-1.0)[:, None]


def changed(x, generator):
    """Each picture shifted, rotated and scaled by its own random amounts."""
    uniform = lambda most: (2 * torch.rand(len(x), generator=generator) - 1) * most
    angle, scale = uniform(TURN), 1 + uniform(SCALE)
    shifts = [uniform(2 * SHIFT / SIDE) for _ in range(2)]
    rows = [torch.stack([angle.cos() / scale, -angle.sin() / scale, shifts[0]], 1),
            torch.stack([angle.sin() / scale, angle.cos() / scale, shifts[1]], 1)]
    grid = F.affine_grid(torch.stack(rows, 1), x.shape, align_corners=False)
    return F.grid_sample(x + 1, grid, align_corners=False) - 1  # beyond the edges is black


def evaluated(model, x):
    with torch.no_grad():
        parts = [model(part) for part in x.split(EVALUATED)]
    return [torch.cat(part) for part in zip(*parts)]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    data = load_file(options.data)
    images, labels = framed(data["images"]), data["labels"].long()
    x, y = images[:-HELD_OUT], labels[:-HELD_OUT]
    model, generator = Classifier(), torch.Generator().manual_seed(1)
    count = sum(weight.numel() for weight in model.parameters())
    optimizer = torch.optim.AdamW(model.parameters(), lr=options.rate)
    steps = options.epochs * math.ceil(len(x) / options.batch)
    rate = torch.optim.lr_scheduler.OneCycleLR(optimizer, options.rate, total_steps=steps)
    begun = time.time()
    for epoch in range(options.epochs):
        total = 0.0
        for rows in torch.randperm(len(x), generator=generator).split(options.batch):
            loss = F.cross_entropy(model(changed(x[rows], generator))[1], y[rows], label_smoothing=0.05)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            rate.step()
            total += loss.item() * len(rows)
        print(f"{epoch + 1}: loss {total / len(x):.4f}, {time.time() - begun:.0f} s", flush=True)

    half = {name: weight.half().contiguous() for name, weight in model.state_dict().items()}
    model.load_state_dict({name: weight.float() for name, weight in half.items()})
    model.eval()
    features, logits = evaluated(model, images[-HELD_OUT:])
    right = (logits.argmax(1) == labels[-HELD_OUT:]).sum().item()
    print(f"{count} parameters in f16: {right} of {HELD_OUT} held-out digits right")
    save_file(half, os.path.join(options.out, "classifier.safetensors"))
    held_out = {name: data[name][-HELD_OUT:].to(torch.uint8).contiguous() for name in ("images", "labels")}
    recorded = {"features": features[:RECORDED].contiguous(), "logits": logits[:RECORDED].contiguous()}
    save_file(held_out | recorded, os.path.join(options.out, "held_out.safetensors"))


if __name__ == "__main__":
    main()
