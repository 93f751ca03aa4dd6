"""Random shifts to the pixel, and the encoder's shape, gradient and refusals."""

import numpy as np
import pytest
import torch

from robot_rl.errors import PoisonedDataError, SpecError
from robot_rl.networks.encoder import encode, encoder_layout, fresh_encoder
from robot_rl.networks.policy_image import ImagePolicy
from robot_rl.networks.shift import PAD, shift_images
from robot_rl.specs import ArraySpec, EnvSpec

CAMERAS = (
    ArraySpec("wrist", (32, 48, 3), "uint8", 0, 255),
    ArraySpec("external", (17, 20, 3), "uint8", 0, 255),
)


def test_shifts_move_pixels_exactly_and_repeat_the_edge() -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (81, 12, 10, 3), dtype=np.uint8)
    every = np.array([(down, right) for down in range(9) for right in range(9)])
    moved = shift_images(images, every)
    for n, (down, right) in enumerate(every):
        rows = np.clip(np.arange(12) + down - PAD, 0, 11)
        columns = np.clip(np.arange(10) + right - PAD, 0, 9)
        np.testing.assert_array_equal(moved[n], images[n][rows][:, columns])
    np.testing.assert_array_equal(moved[40], images[40])
    assert moved.base is None


def test_encoder_gives_bounded_features_and_a_gradient_to_every_array() -> None:
    layout = encoder_layout(CAMERAS, 6)
    flat = fresh_encoder(layout, torch.Generator().manual_seed(0)).requires_grad_()
    rng = np.random.default_rng(0)
    images = {
        camera.name: torch.from_numpy(rng.integers(0, 256, (5, *camera.shape), dtype=np.uint8))
        for camera in CAMERAS
    }
    features = encode(layout.views(flat), images)
    assert features.shape == (5, 12)
    assert float(features.detach().abs().max()) <= 1.0
    (gradient,) = torch.autograd.grad(features.square().sum(), flat)
    for name, part in layout.views(gradient).items():
        assert float(part.abs().max()) > 0.0, name
    rough = encode(layout.views(flat.detach()), images, torch.bfloat16)
    assert float((rough - features.detach()).abs().max()) < 0.1


def test_encoder_equals_torch_modules() -> None:
    layout = encoder_layout(CAMERAS[:1], 6)
    params = layout.views(fresh_encoder(layout, torch.Generator().manual_seed(0)))
    rng = np.random.default_rng(0)
    image = torch.from_numpy(rng.integers(0, 256, (4, 32, 48, 3), np.uint8))
    h = image.movedim(-1, 1).contiguous().float() / 255
    for i, (kernel, stride, padding) in enumerate(((8, 4, 2), (3, 2, 1), (3, 2, 1), (3, 1, 1))):
        conv = torch.nn.Conv2d(h.shape[1], 32, kernel, stride=stride, padding=padding)
        conv.weight.data, conv.bias.data = params[f"wrist.c{i}"], params[f"wrist.k{i}"]
        h = torch.relu(conv(h))
    weighted = torch.einsum("nchw,chwk->nck", h, params["wrist.place"].view(32, 2, 3, 8))
    dense = weighted.flatten(1) @ params["wrist.w"] + params["wrist.b"]
    expected = torch.nn.LayerNorm(6)(dense).tanh()
    torch.testing.assert_close(encode(params, {"wrist": image}), expected, rtol=1e-4, atol=1e-5)


def test_too_small_images_are_refused() -> None:
    with pytest.raises(SpecError, match=r"wrist.*8x64.*valid: 16 pixels"):
        encoder_layout((ArraySpec("wrist", (8, 64, 3), "uint8", 0, 255),), 4)


def test_poisoned_encoder_weights_leave_the_policy_as_it_was() -> None:
    action = ArraySpec("action", (2,), low=-1.0, high=1.0)
    spec = EnvSpec("images", CAMERAS, action, (("command", 2),), 10.0)
    policy = ImagePolicy(spec, hidden=(8,), features=4)
    rng = np.random.default_rng(0)
    layout = encoder_layout(CAMERAS, 4)
    encoder = layout.views(fresh_encoder(layout, torch.Generator().manual_seed(0)), "encoder.")
    weights = {name: array.numpy() for name, array in encoder.items()}
    for i, (rows, columns) in enumerate(((8, 8), (8, 4))):
        weights[f"actor.w{i}"] = rng.normal(0, 1, (rows, columns)).astype(np.float32)
        weights[f"actor.b{i}"] = np.zeros(columns, np.float32)
    obs = {c.name: rng.integers(0, 256, c.shape, dtype=np.uint8) for c in CAMERAS}
    policy.load(weights, 1)
    kept = policy.act(obs, 0, 0, deterministic=True).actions
    for name in ("encoder.wrist.c0", "actor.w1"):
        with pytest.raises(PoisonedDataError, match=name):
            policy.load(weights | {name: np.full_like(weights[name], np.inf)}, 2)
    assert policy.version == 1
    np.testing.assert_array_equal(policy.act(obs, 0, 0, deterministic=True).actions, kept)
    other = {name: 255 - image for name, image in obs.items()}
    assert (policy.act(other, 0, 0, deterministic=True).actions != kept).any()
