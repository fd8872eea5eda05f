import pytest
from PIL import Image

from tests.support import hostile
from tests.support.engine import Engine, assert_near, png
from tests.support.images import (
    BLUE,
    GREEN,
    RED,
    YELLOW,
    encode,
    make_animation,
    make_image,
    make_picture,
)
from webapp.engine.errors import TooManyFrames
from webapp.recipes.outputs import Format, Output


def test_only_the_first_frame_is_used(engine: Engine) -> None:
    frames = [Image.new("RGB", (40, 20), color) for color in (RED, GREEN, BLUE)]
    for format in ("gif", "webp", "png", "avif", "tiff"):
        animation = encode(frames[0], format, save_all=True, append_images=frames[1:])
        made = engine.picture(animation, png(20, 10))
        assert_near(made.convert("RGB").getpixel((10, 5)), RED, 6)


@pytest.mark.parametrize("source", ["gif", "webp", "png"])
def test_animation_is_still_unless_asked(source: str, engine: Engine) -> None:
    made = engine.picture(make_animation(source), png(40, 40))
    assert_near(made.convert("RGB").getpixel((20, 13)), RED, 12)


@pytest.mark.parametrize("format", ["webp", "gif"])
@pytest.mark.parametrize("source", ["gif", "webp", "png"])
def test_animation_keeps_its_frames_and_its_time(
    source: str, format: Format, engine: Engine
) -> None:
    output = Output("a", 40, 40, "pad", format, animated=True)
    (made,) = engine.make(make_animation(source), output)
    with Image.open(engine.folder / made.file_name) as animation:
        assert animation.size == (40, 40)
        assert animation.n_frames == 3  # type: ignore[attr-defined]
        for number, color in enumerate((RED, GREEN, BLUE)):
            animation.seek(number)
            animation.load()
            assert animation.info["duration"] == 80
            assert_near(animation.convert("RGB").getpixel((20, 20)), color, 12)


@pytest.mark.parametrize(("source", "made_as"), [("gif", "GIF"), ("webp", "WEBP"), ("png", "WEBP")])
def test_animation_keeps_its_format_or_the_nearest(
    source: str, made_as: str, engine: Engine
) -> None:
    output = Output("a", 40, 40, format="source", animated=True)
    (made,) = engine.make(make_animation(source), output)
    with Image.open(engine.folder / made.file_name) as animation:
        assert (animation.format, animation.n_frames) == (made_as, 3)  # type: ignore[attr-defined]


@pytest.mark.parametrize("source", ["png", "jpeg", "gif"])
def test_still_keeps_its_format_where_movement_is_asked_for(source: str, engine: Engine) -> None:
    output = Output("a", 40, 40, format="source", animated=True)
    (made,) = engine.make(make_image("L", format=source), output)
    assert made.format == ("png" if source == "gif" else source)


def test_still_and_animation_are_made_from_one_source(engine: Engine) -> None:
    outputs = (
        Output("a", 40, 40, format="webp"),
        Output("b", 40, 40, format="webp", animated=True),
    )
    still, moving = engine.make(make_animation("gif"), *outputs)
    with Image.open(engine.folder / still.file_name) as picture:
        assert getattr(picture, "n_frames", 1) == 1
    with Image.open(engine.folder / moving.file_name) as picture:
        assert picture.n_frames == 3  # type: ignore[attr-defined]


def test_pages_of_a_tiff_do_not_move(engine: Engine) -> None:
    pages = [Image.new("RGB", (60, 40), color) for color in (RED, GREEN)]
    source = encode(pages[0], "TIFF", save_all=True, append_images=pages[1:])
    (made,) = engine.make(source, Output("a", 40, 40, format="webp", animated=True))
    with Image.open(engine.folder / made.file_name) as picture:
        assert getattr(picture, "n_frames", 1) == 1


def test_transparent_animation_stays_transparent(engine: Engine) -> None:
    frames = [Image.new("RGBA", (60, 40), (0, 0, 0, 0)) for _ in range(2)]
    for number, frame in enumerate(frames):
        frame.paste((*RED, 255), (20 * number, 0, 20 * number + 20, 40))
    source = encode(frames[0], "PNG", save_all=True, append_images=frames[1:], duration=80)
    (made,) = engine.make(source, Output("a", 60, 40, format="gif", animated=True))
    with Image.open(engine.folder / made.file_name) as animation:
        animation.seek(1)
        assert animation.convert("RGBA").getpixel((10, 20))[3] == 0  # type: ignore[index]


def test_opaque_gif_stores_only_what_changes(engine: Engine) -> None:
    ground = make_picture("RGB", (200, 150))
    frames = [ground.copy() for _ in range(10)]
    for number, frame in enumerate(frames):
        frame.paste(RED, (10 * number, 0, 10 * number + 10, 10))
    source = encode(frames[0], "WEBP", save_all=True, append_images=frames[1:], lossless=True)
    (made,) = engine.make(source, Output("a", 200, 150, format="gif", animated=True))
    assert made.bytes < 3 * len(encode(frames[0], "GIF"))


# How often an animation is shown, in the words of each format: GIF counts repeats.
PLAYS: dict[str, dict[int, int | None]] = {
    "gif": {1: None, 3: 2, 0: 0},
    "webp": {1: 1, 3: 3, 0: 0},
    "png": {1: 1, 3: 3, 0: 0},
}


@pytest.mark.parametrize("plays", [1, 3, 0], ids=["once", "three times", "for ever"])
@pytest.mark.parametrize("format", ["webp", "gif"])
@pytest.mark.parametrize("source", ["gif", "webp", "png"])
def test_animation_is_shown_as_often_as_its_source(
    source: str, format: Format, plays: int, engine: Engine
) -> None:
    animation = make_animation(source, loop=PLAYS[source][plays])
    (made,) = engine.make(animation, Output("a", 40, 40, format=format, animated=True))
    with Image.open(engine.folder / made.file_name) as moving:
        assert moving.info.get("loop") == PLAYS[format][plays]


def test_repeats_of_a_gif_count_under_their_other_name(engine: Engine) -> None:
    animation = make_animation("gif", loop=2).replace(b"NETSCAPE2.0", b"ANIMEXTS1.0")
    (made,) = engine.make(animation, Output("a", 40, 40, format="webp", animated=True))
    with Image.open(engine.folder / made.file_name) as moving:
        assert moving.info["loop"] == 3


@pytest.mark.parametrize("format", ["webp", "gif"])
@pytest.mark.parametrize(("source", "loop"), [("gif", 65_535), ("png", 65_537), ("png", 100_000)])
def test_more_plays_than_a_format_stores_are_capped(
    source: str, loop: int, format: Format, engine: Engine
) -> None:
    animation = make_animation(source, loop=loop)
    (made,) = engine.make(animation, Output("a", 40, 40, format=format, animated=True))
    with Image.open(engine.folder / made.file_name) as moving:
        assert moving.info["loop"] == 65_535


def test_default_picture_of_an_animated_png_is_no_frame(engine: Engine) -> None:
    stand_in = Image.new("RGB", (60, 40), YELLOW)
    frames = [Image.new("RGB", (60, 40), color) for color in (RED, GREEN)]
    source = encode(stand_in, "PNG", save_all=True, append_images=frames, default_image=True)
    moving, still = engine.make(
        source, Output("moving", 60, 40, format="webp", animated=True), png(60, 40)
    )
    assert_near(engine.load(still).convert("RGB").getpixel((30, 20)), YELLOW)
    with Image.open(engine.folder / moving.file_name) as animation:
        assert animation.n_frames == 2  # type: ignore[attr-defined]
        assert_near(animation.convert("RGB").getpixel((30, 20)), RED, 12)


def test_byte_limit_covers_all_frames(engine: Engine) -> None:
    frames = [make_picture("RGB", (200, 150)).rotate(90 * number) for number in range(4)]
    source = encode(frames[0], "WEBP", save_all=True, append_images=frames[1:], quality=95)
    output = Output("a", 180, 135, format="webp", animated=True, max_bytes=3_000)
    (made,) = engine.make(source, output)
    assert made.bytes <= 3_000
    assert made.quality
    assert made.quality < 80


def test_too_many_pixels_of_all_frames_are_refused_if_animated(
    engine: Engine,
) -> None:
    # 30 frames of 16.8 megapixels: each is allowed, all together are 504.
    source = hostile.png.animated(4100, 4100, 30)
    with pytest.raises(TooManyFrames, match="more than 500 megapixels in all its frames"):
        engine.make(source, Output("a", 4, 4, format="gif", animated=True))


def test_too_many_frames_are_refused_if_animated(engine: Engine) -> None:
    frames = [Image.new("L", (4, 4), number) for number in range(201)]
    source = encode(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert engine.make(source, png(4, 4))
    with pytest.raises(TooManyFrames, match="more than 200 frames"):
        engine.make(source, Output("a", 4, 4, format="gif", animated=True))
