"""Measures the three networks on digits that they were not trained on: the error of x0 and of epsilon by noise level.

Each network is given the class, and its prediction is turned into x0 and epsilon at the same x_t; x0 is also clipped to the
range of pictures. The weights are the example's, in f16; the arithmetic is f32.

    python evaluate.py --data digits.safetensors --weights ../../apps/digits/weights --out results.json

Needs torch, numpy and safetensors.
"""

import argparse
import datetime
import json
import os

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from train import HELD_OUT, PREDICTIONS, SIDE, UNet, alphas_cumprod

TIMESTEPS = (10, 50, 100, 200, 300, 400, 500, 600, 700, 800, 900, 950, 980, 995)


def network(folder, prediction):
    model = UNet()
    weights = load_file(os.path.join(folder, f"{prediction}.safetensors"))
    model.load_state_dict({name: weight.float() for name, weight in weights.items()})
    return model.eval()


def both(prediction, output, noisy, alpha, sigma):
    """x0 and epsilon of an output at x_t."""
    if prediction == "x0":
        return output, (noisy - alpha * output) / sigma
    if prediction == "epsilon":
        return (noisy - sigma * output) / alpha, output
    return alpha * noisy - sigma * output, sigma * noisy + alpha * output


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", required=True)
    parser.add_argument("--weights", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--pictures", type=int, default=256)
    options = parser.parse_args()
    data = load_file(options.data)
    held_out = slice(-HELD_OUT, -HELD_OUT + options.pictures if options.pictures < HELD_OUT else None)
    images = F.pad(data["images"][held_out].float() / 127.5 - 1, (2, 2, 2, 2), value=-1.0)[:, None]
    labels = data["labels"][held_out].long()
    generator = torch.Generator().manual_seed(7)
    noise = torch.randn(len(images), 1, SIDE, SIDE, generator=generator)
    models = {prediction: network(options.weights, prediction) for prediction in PREDICTIONS}
    rows = []
    for t in TIMESTEPS:
        abar = alphas_cumprod()[t]
        alpha, sigma = abar.sqrt().float(), (1 - abar).sqrt().float()
        noisy = alpha * images + sigma * noise
        targets = {"x0": images, "epsilon": noise, "v": alpha * noise - sigma * images}
        row = {"t": t, "alpha_bar": abar.item(), "variance": {}, "loss": {}, "x0": {}, "x0_clipped": {}, "epsilon": {}}
        for prediction, model in models.items():
            with torch.no_grad():
                output = model(noisy, torch.full((len(images),), t), labels)
            x0, epsilon = both(prediction, output, noisy, alpha, sigma)
            row["variance"][prediction] = targets[prediction].var().item()
            row["loss"][prediction] = F.mse_loss(output, targets[prediction]).item()
            row["x0"][prediction] = F.mse_loss(x0, images).item()
            row["x0_clipped"][prediction] = F.mse_loss(x0.clamp(-1, 1), images).item()
            row["epsilon"][prediction] = F.mse_loss(epsilon, noise).item()
        rows.append(row)
        print(t, {name: f"{value:.2e}" for name, value in row["x0"].items()}, flush=True)
    about = {"date": datetime.date.today().isoformat(), "torch": torch.__version__.split("+")[0], "device": "CPU"}
    with open(options.out, "w") as file:
        json.dump({**about, "pictures": len(images), "rows": rows}, file, indent=1)
        file.write("\n")


if __name__ == "__main__":
    main()
