"""Trains the three networks of this example: the same U-Net for epsilon, x0 and v, on handwritten digits.

The three are trained with an equal budget: the same initial weights, pictures, timesteps and noise, the cosine schedule of
Nichol and Dhariwal, and the plain squared error of what each predicts. They take turns in rounds of `--round` steps, so their
budgets never differ by more than a round. The script resumes from its checkpoints. A tenth of the labels is dropped for guidance.

    python train.py --data digits.safetensors --out weights --steps 2000

Writes weights/{epsilon,x0,v}.safetensors in f16 (an exponential average of the weights), losses and times as results.json, one
batch of noising and its target, and activations of every layer for two inputs. Needs torch, numpy and safetensors.
"""

import argparse
import copy
import datetime
import json
import math
import os
import time

import torch
import torch.nn as nn
import torch.nn.functional as F
from safetensors.torch import load_file, save_file

TIMESTEPS = 1000
SIDE = 32  # 28 x 28 pictures in a frame of 2
NULL_CLASS = 10
HELD_OUT = 1000
PREDICTIONS = ("v", "x0", "epsilon")
WIDTHS = (32, 64, 96)
EMBEDDING = 128
FREQUENCIES = 32
GROUPS = 8
KEPT_ROWS = 8  # of each layer's activations, which are committed
LAST = 100  # steps at the end of a training whose mean loss is reported


def alphas_cumprod():
    """Nichol and Dhariwal 2021, equation 17, betas at most 0.999: in f64."""
    f = lambda u: math.cos((u + 0.008) / 1.008 * math.pi / 2) ** 2
    betas = [min(1 - f((i + 1) / TIMESTEPS) / f(i / TIMESTEPS), 0.999) for i in range(TIMESTEPS)]
    return torch.cumprod(1 - torch.tensor(betas, dtype=torch.float64), 0)


def time_features(t):
    """Cosines, then sines, of t times 32 frequencies from 1 to 1/10,000."""
    frequencies = torch.exp(-math.log(10_000) / (FREQUENCIES - 1) * torch.arange(FREQUENCIES, dtype=torch.float32))
    angles = t.float()[:, None] * frequencies
    return torch.cat([angles.cos(), angles.sin()], 1)


class Block(nn.Module):
    """Two convolutions with group norm and SiLU, the embedding between them, and a connection around them."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.norm1 = nn.GroupNorm(GROUPS, inputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.embed = nn.Linear(EMBEDDING, outputs)
        self.norm2 = nn.GroupNorm(GROUPS, outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.skip = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else None
        nn.init.zeros_(self.conv2.weight)

    def forward(self, x, embedding):
        h = self.conv1(F.silu(self.norm1(x))) + self.embed(embedding)[:, :, None, None]
        h = self.conv2(F.silu(self.norm2(h)))
        return h + (x if self.skip is None else self.skip(x))


class UNet(nn.Module):
    """Resolutions 32, 16 and 8 with 32, 64 and 96 channels."""

    def __init__(self):
        super().__init__()
        a, b, c = WIDTHS
        self.time1 = nn.Linear(2 * FREQUENCIES, EMBEDDING)
        self.time2 = nn.Linear(EMBEDDING, EMBEDDING)
        self.classes = nn.Embedding(NULL_CLASS + 1, EMBEDDING)
        self.conv_in = nn.Conv2d(1, a, 3, padding=1)
        self.down1 = Block(a, a)
        self.shrink1 = nn.Conv2d(a, a, 3, stride=2, padding=1)
        self.down2 = Block(a, b)
        self.shrink2 = nn.Conv2d(b, b, 3, stride=2, padding=1)
        self.down3 = Block(b, c)
        self.middle1 = Block(c, c)
        self.middle2 = Block(c, c)
        self.grow2 = nn.Conv2d(c, b, 3, padding=1)
        self.up2 = Block(2 * b, b)
        self.grow1 = nn.Conv2d(b, a, 3, padding=1)
        self.up1 = Block(2 * a, a)
        self.norm_out = nn.GroupNorm(GROUPS, a)
        self.conv_out = nn.Conv2d(a, 1, 3, padding=1)
        nn.init.zeros_(self.conv_out.weight)
        nn.init.zeros_(self.conv_out.bias)

    def forward(self, x, t, labels):
        embedding = F.silu(self.time2(F.silu(self.time1(time_features(t)))) + self.classes(labels))
        first = self.down1(self.conv_in(x), embedding)
        second = self.down2(self.shrink1(first), embedding)
        h = self.down3(self.shrink2(second), embedding)
        h = self.middle2(self.middle1(h, embedding), embedding)
        h = self.grow2(F.interpolate(h, scale_factor=2, mode="nearest"))
        h = self.up2(torch.cat([h, second], 1), embedding)
        h = self.grow1(F.interpolate(h, scale_factor=2, mode="nearest"))
        h = self.up1(torch.cat([h, first], 1), embedding)
        return self.conv_out(F.silu(self.norm_out(h)))


class Batches:
    """Pictures, labels, timesteps and noise of each step: a function of the step alone."""

    def __init__(self, images, labels, size):
        self.images, self.labels, self.size = images, labels, size
        self.alphas = alphas_cumprod()

    def at(self, step):
        generator = torch.Generator().manual_seed(1_000_003 * step + 17)
        rows = torch.randint(len(self.images), (self.size,), generator=generator)
        labels = self.labels[rows].clone()
        labels[torch.rand(self.size, generator=generator) < 0.1] = NULL_CLASS
        t = torch.randint(TIMESTEPS, (self.size,), generator=generator)
        noise = torch.randn(self.size, 1, SIDE, SIDE, generator=generator)
        x0 = self.images[rows]
        alpha = self.alphas[t].sqrt().float()[:, None, None, None]
        sigma = (1 - self.alphas[t]).sqrt().float()[:, None, None, None]
        noisy = alpha * x0 + sigma * noise
        targets = {"epsilon": noise, "x0": x0, "v": alpha * noise - sigma * x0}
        return {"x0": x0, "noise": noise, "t": t, "labels": labels, "x_t": noisy, "targets": targets}


class Run:
    """The network of one prediction with its optimizer and the average of its weights."""

    def __init__(self, prediction, out):
        torch.manual_seed(0)
        self.prediction, self.path = prediction, os.path.join(out, f"{prediction}.pt")
        self.model = UNet()
        self.average = copy.deepcopy(self.model)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-3, betas=(0.9, 0.99), weight_decay=0.0)
        self.step, self.losses, self.recent, self.seconds = 0, [], [], 0.0
        if os.path.exists(self.path):
            state = torch.load(self.path, weights_only=True)
            self.model.load_state_dict(state["model"])
            self.average.load_state_dict(state["average"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.step, self.losses, self.seconds = state["step"], state["losses"], state["seconds"]
            self.recent = state["recent"]

    def train(self, batches, steps, rate):
        begun, losses = time.time(), []
        for step in range(self.step, self.step + steps):
            batch = batches.at(step)
            for group in self.optimizer.param_groups:
                group["lr"] = rate * min(1.0, (step + 1) / 100)
            output = self.model(batch["x_t"], batch["t"], batch["labels"])
            loss = F.mse_loss(output, batch["targets"][self.prediction])
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            self.optimizer.step()
            decay = min(0.998, (1 + step) / (10 + step))
            with torch.no_grad():
                for mean, weight in zip(self.average.parameters(), self.model.parameters()):
                    mean.lerp_(weight, 1 - decay)
            losses.append(loss.item())
        self.step += steps
        self.seconds += time.time() - begun
        self.losses.append([self.step, sum(losses) / steps])
        self.recent = (self.recent + losses)[-LAST:]
        state = {"model": self.model.state_dict(), "average": self.average.state_dict(),
                 "optimizer": self.optimizer.state_dict(), "step": self.step, "losses": self.losses,
                 "recent": self.recent, "seconds": self.seconds}
        torch.save(state, self.path + ".part")
        os.replace(self.path + ".part", self.path)
        print(f"{self.prediction} {self.step}: loss {self.losses[-1][1]:.5f}, {self.seconds:.0f} s", flush=True)

    def save(self, out):
        half = {name: weight.half().contiguous() for name, weight in self.average.state_dict().items()}
        about = {"prediction": self.prediction, "steps": str(self.step), "schedule": "cosine", "timesteps": "1000"}
        save_file(half, os.path.join(out, f"{self.prediction}.safetensors"), metadata=about)


def activations(model, out):
    """The first rows of every module's output for two inputs, with the weights rounded to f16, and the network's output."""
    model = copy.deepcopy(model)
    for weight in model.parameters():
        weight.data = weight.data.half().float()
    generator = torch.Generator().manual_seed(5)
    inputs = {"x": torch.randn(2, 1, SIDE, SIDE, generator=generator), "t": torch.tensor([40, 700]),
              "labels": torch.tensor([3, NULL_CLASS])}
    found = {}
    for name, module in model.named_modules():
        if "." not in name and isinstance(module, (Block, nn.Conv2d)):
            module.register_forward_hook(lambda _m, _i, output, name=name: found.update({name: output}))
    with torch.no_grad():
        found["output"] = model(inputs["x"], inputs["t"], inputs["labels"])
    tensors = {name: tensor[:, :, :KEPT_ROWS].half() for name, tensor in found.items()}
    tensors |= {"output": found["output"], "x": inputs["x"], "t": inputs["t"].int(), "labels": inputs["labels"].int()}
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, out)


def save_batch(batch, out):
    """Eight pictures with their noise, timesteps and labels, their noisy forms and v; the other two targets are inputs."""
    tensors = {name: batch[name] for name in ("x0", "noise", "t", "labels", "x_t")} | {"v": batch["targets"]["v"]}
    save_file({name: tensor[:8].contiguous() for name, tensor in tensors.items()}, out)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--steps", type=int, default=2000, help="of each network, with those of earlier runs")
    parser.add_argument("--round", type=int, default=200)
    parser.add_argument("--batch", type=int, default=96)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    os.makedirs(options.out, exist_ok=True)
    data = load_file(options.data)
    images = F.pad(data["images"][:-HELD_OUT].float() / 127.5 - 1, (2, 2, 2, 2), value=-1.0)[:, None]
    batches = Batches(images, data["labels"][:-HELD_OUT].long(), options.batch)
    runs = [Run(prediction, options.out) for prediction in PREDICTIONS]
    parameters = sum(weight.numel() for weight in runs[0].model.parameters())
    print(f"{parameters} parameters", flush=True)
    while min(run.step for run in runs) < options.steps:
        for run in runs:
            if run.step == min(other.step for other in runs):
                run.train(batches, options.round, options.rate)
    for run in runs:
        run.save(options.out)
    about = {"date": datetime.date.today().isoformat(), "torch": torch.__version__.split("+")[0], "device": "CPU",
             "threads": options.threads, "batch": options.batch, "parameters": parameters, "last_steps": LAST}
    mean = lambda losses: sum(losses) / len(losses)
    networks = {run.prediction: {"steps": run.step, "loss_of_last_steps": mean(run.recent), "seconds": round(run.seconds),
                                 "losses": run.losses} for run in runs}
    with open(os.path.join(options.out, "results.json"), "w") as file:
        json.dump({**about, "networks": networks}, file, indent=1)
        file.write("\n")
    save_batch(batches.at(0), os.path.join(options.out, "batch.safetensors"))
    activations(runs[0].average, os.path.join(options.out, "activations.safetensors"))


if __name__ == "__main__":
    main()
