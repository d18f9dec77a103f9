"""What other people's phones, networks, notebooks and installations bring: after public reports."""

import pytest
from PIL import Image, ImageDraw

from support.data import folder


@pytest.mark.parametrize(
    ("mode", "suffix"), [("RGBA", "png"), ("LA", "png"), ("RGBA", "gif"), ("RGBA", "webp")]
)
def test_a_black_drawing_on_transparent_ground_is_seen(tmp_path, mode, suffix):
    """Below the ground it is black too, so that all such drawings would be one image."""
    drawing = Image.new("RGBA", (64, 64), (0, 0, 0, 0))
    ImageDraw.Draw(drawing).ellipse((16, 16, 48, 48), fill=(0, 0, 0, 255))
    drawing.convert(mode).save(tmp_path / f"drawing.{suffix}", lossless=True)
    pixels = folder.read_image(tmp_path / f"drawing.{suffix}")
    assert pixels[0, 0].tolist() == [255, 255, 255]
    assert pixels[16, 16].tolist() == [0, 0, 0]
