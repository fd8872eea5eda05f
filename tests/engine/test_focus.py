import math

import pytest
from PIL import Image, ImageDraw, ImageFilter

from tests.support.images import make_picture
from webapp.engine.focus import find_focal_point
from webapp.recipes.outputs import CENTRE

SKINS = {"dark": (70, 45, 35), "brown": (141, 85, 60), "light": (224, 172, 150)}


def make_ground(size: tuple[int, int], texture: int = 0) -> Image.Image:
    """Make a plain green, or a softly mottled one, the same each time."""
    ground = Image.new("RGB", size, (90, 130, 80))
    draw = ImageDraw.Draw(ground)
    for index in range(texture * 200):
        x, y = index * 7919 % size[0], index * 104729 % size[1]
        draw.ellipse((x - 6, y - 6, x + 6, y + 6), (80, 105 + index * 37 % 50, 70))
    return ground.filter(ImageFilter.GaussianBlur(2))


def put_checks(image: Image.Image, at: tuple[int, int], side: int = 40) -> None:
    """Draw strong detail around a place."""
    draw = ImageDraw.Draw(image)
    for x in range(0, side, 8):
        for y in range(0, side, 8):
            corner = (at[0] - side // 2 + x, at[1] - side // 2 + y)
            color = "white" if (x + y) % 16 else "black"
            draw.rectangle((*corner, corner[0] + 7, corner[1] + 7), color)


def put_face(image: Image.Image, at: tuple[int, int], skin: tuple[int, int, int]) -> None:
    """Draw a plain head with eyes and a mouth around a place."""
    x, y = at
    draw = ImageDraw.Draw(image)
    draw.ellipse((x - 20, y - 26, x + 20, y + 26), skin)
    for eye in (x - 9, x + 9):
        draw.ellipse((eye - 4, y - 10, eye + 4, y - 4), "white")
        draw.ellipse((eye - 2, y - 9, eye + 2, y - 5), "black")
    draw.ellipse((x - 8, y + 8, x + 8, y + 13), (150, 50, 50))


def distance(image: Image.Image, place: tuple[int, int]) -> float:
    """Return the distance of the focal point from another, in pixels."""
    x, y = find_focal_point(image)
    return math.dist((x * image.width, y * image.height), place)


@pytest.mark.parametrize("texture", [0, 1])
@pytest.mark.parametrize(
    "place",
    [(40, 85), (216, 85), (128, 30), (128, 140), (28, 28), (228, 28), (28, 142), (228, 142)],
)
def test_focal_point_is_on_the_subject(place: tuple[int, int], texture: int) -> None:
    image = make_ground((256, 170), texture)
    put_checks(image, place)
    assert distance(image, place) < 20


@pytest.mark.parametrize("place", [(85, 40), (85, 128), (85, 216), (30, 30), (140, 226)])
def test_focal_point_is_on_the_subject_of_a_tall_picture(place: tuple[int, int]) -> None:
    image = make_ground((170, 256), texture=1)
    put_checks(image, place)
    assert distance(image, place) < 20


@pytest.mark.parametrize("skin", SKINS)
def test_face_wins_over_texture(skin: str) -> None:
    image = make_ground((256, 170), texture=1)
    put_face(image, (40, 45), SKINS[skin])
    assert distance(image, (40, 45)) < 20


@pytest.mark.parametrize("skin", SKINS)
def test_face_wins_over_busy_things(skin: str) -> None:
    image = make_ground((170, 256))
    put_face(image, (85, 50), SKINS[skin])
    for x in range(20, 170, 43):
        ImageDraw.Draw(image).rectangle((x, 180, x + 20, 230), (60, 60, 190))
    assert distance(image, (85, 50)) < 26


def test_background_of_skin_colour_does_not_attract_the_focus() -> None:
    image = Image.new("RGB", (256, 170), SKINS["light"])
    put_checks(image, (216, 120))
    assert distance(image, (216, 120)) < 20


def test_stronger_of_two_subjects_wins() -> None:
    image = make_ground((256, 170))
    put_checks(image, (40, 85), 24)
    put_checks(image, (210, 85), 48)
    assert distance(image, (210, 85)) < 20


def test_focal_point_of_a_subject_of_colour_only() -> None:
    image = Image.new("RGB", (256, 170), (120, 120, 120))
    ImageDraw.Draw(image).ellipse((190, 20, 230, 60), (220, 75, 120))  # As light as the ground.
    assert distance(image, (210, 40)) < 25


def test_transparent_surroundings_do_not_count() -> None:
    hidden = make_picture("RGB", (256, 170))
    hidden.paste((90, 130, 80), (0, 85, 128, 170))
    put_checks(hidden, (40, 130))
    image = hidden.convert("RGBA")
    alpha = Image.new("L", image.size)
    alpha.paste(255, (0, 85, 128, 170))
    image.putalpha(alpha)
    assert distance(image, (40, 130)) < 20


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
@pytest.mark.parametrize("size", [(1, 1), (2, 3), (256, 170), (1, 3000), (3000, 1)])
def test_plain_picture_has_its_focal_point_in_the_centre(mode: str, size: tuple[int, int]) -> None:
    assert find_focal_point(Image.new("RGB", size, (200, 90, 40)).convert(mode)) == CENTRE


def test_gradient_has_its_focal_point_in_the_centre() -> None:
    assert find_focal_point(Image.linear_gradient("L")) == CENTRE


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_invisible_picture_has_its_focal_point_in_the_centre(mode: str) -> None:
    image = make_picture(mode)
    image.putalpha(0)
    assert find_focal_point(image) == CENTRE


def test_cutout_of_one_colour_has_a_central_focal_point() -> None:
    image = Image.new("RGBA", (200, 100))
    image.paste((200, 30, 30, 255), (0, 0, 60, 100))
    assert find_focal_point(image) == CENTRE


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
@pytest.mark.parametrize("size", [(1, 1), (1, 2), (2, 1), (3, 500), (500, 3), (64, 64), (700, 500)])
def test_focal_point_is_within_the_picture(mode: str, size: tuple[int, int]) -> None:
    x, y = find_focal_point(make_picture(mode, size))
    assert 0 < x < 1
    assert 0 < y < 1


def test_focal_point_is_deterministic_and_changes_no_pixel() -> None:
    image = make_picture("RGBA")
    before = image.tobytes()
    assert find_focal_point(image) == find_focal_point(image.copy())
    assert image.tobytes() == before
