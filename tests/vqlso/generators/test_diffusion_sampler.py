"""DDIM's schedule, steps and inversion, against closed forms and normally distributed data."""

import math
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from vqlso.generators.diffusion.ddim import (
    Predict,
    ddim_step,
    inverted,
    noisy_and_velocity,
    sampled,
    signal_and_noise,
    times,
)


def normal(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def test_the_schedule_goes_from_images_to_noise_and_keeps_variance() -> None:
    t = torch.linspace(0, 1, 101, dtype=torch.float64)
    signal, noise = signal_and_noise(t)
    torch.testing.assert_close(signal**2 + noise**2, torch.ones_like(t))
    assert (signal.diff() < 0).all()
    assert (noise.diff() > 0).all()
    assert (signal[0], noise[0]) == (1, 0)
    assert abs(float(signal[-1])) < 1e-15
    # Nichol & Dhariwal, eq. 17: alpha bar is a squared cosine.
    torch.testing.assert_close(signal**2, (1 + torch.cos(math.pi * t)) / 2)


@pytest.mark.parametrize("steps", [1, 2, 20])
def test_steps_are_equal_and_end_at_the_image(steps: int) -> None:
    assert len(times(steps)) == steps + 1
    assert (times(steps)[0], times(steps)[-1]) == (1, 0)
    assert [a - b for a, b in pairwise(times(steps))] == pytest.approx([1 / steps] * steps)


def test_image_and_noise_can_be_told_from_the_velocity() -> None:
    images, noise = normal(5, 3, 2, 2), normal(5, 3, 2, 2, seed=1)
    t = torch.tensor([0.0, 0.2, 0.5, 0.9, 1.0], dtype=torch.float64)
    x, velocity = noisy_and_velocity(images, noise, t)
    signal, spread = (part.view(-1, 1, 1, 1) for part in signal_and_noise(t))
    torch.testing.assert_close(signal * x - spread * velocity, images)
    torch.testing.assert_close(spread * x + signal * velocity, noise)
    torch.testing.assert_close(x[0], images[0])
    torch.testing.assert_close(x[-1], noise[-1])


@pytest.mark.parametrize(("start", "end"), [(1.0, 0.95), (0.5, 0.25), (0.05, 0.0), (0.7, 0.7)])
def test_a_step_is_equation_12_of_song_et_al(start: float, end: float) -> None:
    """In their symbols: the predicted x_0, and the direction that points to x_t."""
    x, velocity = normal(2, 3, 2, 2), normal(2, 3, 2, 2, seed=1)
    alpha, alpha_next = (math.cos(math.pi / 2 * t) ** 2 for t in (start, end))
    epsilon = math.sqrt(1 - alpha) * x + math.sqrt(alpha) * velocity
    predicted = math.sqrt(alpha) * x - math.sqrt(1 - alpha) * velocity
    if alpha > 1e-9:
        torch.testing.assert_close((x - math.sqrt(1 - alpha) * epsilon) / alpha**0.5, predicted)
    expected = math.sqrt(alpha_next) * predicted + math.sqrt(1 - alpha_next) * epsilon
    torch.testing.assert_close(ddim_step(x, velocity, start, end), expected)


# Normally distributed data, for which the best prediction is known: images are single rows of four
# numbers, of this mean and covariance.
MEAN = torch.tensor([0.5, -1.0, 0.2, 0.0], dtype=torch.float64)
FACTOR = normal(4, 4, seed=3) / 2
COVARIANCE = FACTOR @ FACTOR.T
IDENTITY = torch.eye(4, dtype=torch.float64)


def best_prediction(x: Tensor, t: Tensor) -> Tensor:
    """E[velocity | x_t], by the conditional mean of jointly normal variables."""
    signal, noise = (float(part[0]) for part in signal_and_noise(t))
    residual = x.flatten(1) - signal * MEAN
    gain = torch.linalg.inv(signal**2 * COVARIANCE + noise**2 * IDENTITY)
    image = MEAN + signal * residual @ gain @ COVARIANCE
    epsilon = noise * residual @ gain
    return (signal * epsilon - noise * image).view(x.shape)


def of_rows(predict: Predict, rows: Tensor, steps: int) -> Tensor:
    return sampled(predict, rows.view(-1, 1, 1, 4), steps).flatten(1)


def sampled_covariance(steps: int) -> Tensor:
    """Of samples: the sampler is affine here, so unit vectors tell its matrix."""
    made = of_rows(best_prediction, torch.cat([torch.zeros_like(MEAN)[None], IDENTITY]), steps)
    matrix = (made[1:] - made[0]).T
    return matrix @ matrix.T


@pytest.mark.parametrize("steps", [1, 3, 20])
def test_samples_have_the_datas_mean_in_any_number_of_steps(steps: int) -> None:
    centre = of_rows(best_prediction, torch.zeros(1, 4, dtype=torch.float64), steps)[0]
    torch.testing.assert_close(centre, MEAN)


def test_samples_have_the_datas_covariance_as_steps_grow() -> None:
    errors = [float((sampled_covariance(steps) - COVARIANCE).norm()) for steps in (20, 40, 80, 160)]
    assert errors[0] < 0.12 * float(COVARIANCE.norm())
    # A method of the first order: twice the steps, half the error.
    assert all(0.45 < fine / coarse < 0.55 for coarse, fine in pairwise(errors))


def test_the_covariance_of_few_steps_is_the_closed_forms() -> None:
    """Along an axis of variance s^2, a step from a to b scales what differs from the mean by
    (cos a cos b s^2 + sin a sin b) / (cos^2 a s^2 + sin^2 a)."""
    variances, axes = torch.linalg.eigh(COVARIANCE)
    scale = torch.ones_like(variances)
    for a, b in pairwise(math.pi / 2 * t for t in times(5)):
        both = math.cos(a) * math.cos(b) * variances + math.sin(a) * math.sin(b)
        scale *= both / (math.cos(a) ** 2 * variances + math.sin(a) ** 2)
    expected = axes @ torch.diag(scale**2) @ axes.T
    torch.testing.assert_close(sampled_covariance(5), expected)


def test_an_inversion_leads_back_to_image_and_noise() -> None:
    noise = normal(6, 4)
    images = of_rows(best_prediction, noise, 40)
    found = inverted(best_prediction, images.view(6, 1, 1, 4), 40).flatten(1)
    torch.testing.assert_close(found, noise, atol=0.01, rtol=0)
    torch.testing.assert_close(of_rows(best_prediction, found, 40), images, atol=1e-3, rtol=0)


@pytest.mark.parametrize("steps", [1, 2, 7])
def test_all_noise_leads_to_the_only_image(steps: int) -> None:
    def predict(x: Tensor, t: Tensor) -> Tensor:
        signal, noise = (part.view(-1, 1, 1, 1) for part in signal_and_noise(t))
        return signal * (x - signal * MEAN) / noise - noise * MEAN

    torch.testing.assert_close(of_rows(predict, normal(6, 4), steps), MEAN.expand(6, 4))
