"""The built-in sample: images of ten shapes, drawn from a seed, for a machine without a network."""

import colorsys
import functools

import numpy as np
from PIL import Image, ImageDraw

SIZE = 32


def polar(radii, start=-90, sweep=360, x=0):
    """Corners at equal angles, `radii` away from `(x, 0)`."""
    angles = np.radians(start + np.linspace(0, sweep, len(radii), endpoint=sweep != 360))
    return np.transpose([x + radii * np.cos(angles), radii * np.sin(angles)])


T = np.linspace(0, 2 * np.pi, 40)
HEART = 16 * np.sin(T) ** 3, 5 * np.cos(2 * T) + 2 * np.cos(3 * T) + np.cos(4 * T) - 13 * np.cos(T)
# Outlines in -1..1, y pointing down, each with the hue that its drawings are near.
SHAPES = {
    "arrow": ([(-1, -0.3), (0, -0.3), (0, -0.8), (1, 0), (0, 0.8), (0, 0.3), (-1, 0.3)], 0.4),
    "circle": (polar([0.9] * 40), 0.1),
    "crescent": ([*polar([0.95] * 40, 50, 260), *polar([0.8] * 40, 290, -220, x=0.42)], 0.2),
    "cross": (polar([1.04, 0.42, 1.04] * 4, start=-73), 0.3),
    "heart": (np.transpose(HEART) / 16, 0.0),
    "hourglass": ([(-0.8, -0.9), (0.8, -0.9), (0.1, 0), (0.8, 0.9), (-0.8, 0.9), (-0.1, 0)], 0.5),
    "ring": ([*polar([0.95] * 40, 0, 359), *polar([0.5] * 40, 359, -359)], 0.6),
    "square": (polar([1.1] * 4, start=-45), 0.7),
    "star": (polar([1, 0.42] * 5), 0.8),
    "triangle": (polar([1] * 3), 0.9),
}


@functools.lru_cache(maxsize=1)  # in a notebook every section asks for it
def draw(seed):
    """Draw 5,000 training and 1,000 test images of ten shapes on cluttered backgrounds.

    Hard enough that the sections' lessons show: the shape decides, while the hue helps from the
    start, as colour does in photographs.
    """
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(6000) % len(SHAPES))
    shapes = list(SHAPES.values())
    images = np.stack([draw_image(*shapes[label], rng) for label in labels])
    for array in (images, labels):
        array.setflags(write=False)  # the next caller gets the same
    return (images[:5000], labels[:5000]), (images[5000:], labels[5000:]), list(SHAPES)


def draw_image(outline, hue, rng):
    """Background, clutter, shape and noise: one `uint8` `(32, 32, 3)`."""
    side = 2 * SIZE  # drawn twice as large and reduced, for smooth edges
    background = rng.integers(40, 216) + rng.integers(-64, 64, 3)
    patches = np.clip(background + rng.normal(0, 30, (4, 4, 3)), 0, 255).astype("uint8")
    image = Image.fromarray(patches).resize((side, side), Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(image)
    for _ in range(2):
        colour, width = tuple(rng.integers(0, 256, 3)), int(rng.integers(1, 5))
        draw.line(rng.uniform(0, side, 4).tolist(), fill=colour, width=width)
    for _ in range(3):
        colour, radius = tuple(rng.integers(0, 256, 3)), rng.uniform(2, 6)
        draw.circle(rng.uniform(0, side, 2).tolist(), radius, fill=colour)
    colour = background
    while np.abs(colour - background).mean() < 45:  # else the shape would not be seen
        hsv = (hue + rng.normal(0, 0.05)) % 1, rng.uniform(0.5, 1), rng.uniform(0.5, 1)
        colour = (255 * np.array(colorsys.hsv_to_rgb(*hsv))).astype(int)
    size, turn = rng.uniform(13, 25), np.radians(rng.uniform(-25, 25))
    centre = side / 2 + 0.8 * (side / 2 - size) * rng.uniform(-1, 1, 2)
    rotation = [[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]]
    corners = size * np.asarray(outline) @ rotation + centre
    draw.polygon([tuple(corner) for corner in corners], fill=tuple(colour))
    noisy = np.asarray(image.reduce(2)) + rng.normal(0, 7, (SIZE, SIZE, 3))
    return np.clip(noisy, 0, 255).astype("uint8")
