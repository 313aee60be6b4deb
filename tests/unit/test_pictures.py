import io

import numpy as np
import pytest
from PIL import Image

from fsrvos import contact_sheet as sheets
from fsrvos.contact_sheet import SheetRow, contact_sheet
from fsrvos.pictures import animation, label_palette, overlay, save_image, save_masks

RED, BLUE = (250, 10, 20), (10, 20, 250)


def square(size=(40, 60), box=(10, 30, 10, 50)):
    mask = np.zeros(size, bool)
    mask[box[0] : box[1], box[2] : box[3]] = True
    return mask


def grey(size=(40, 60), value=100):
    return np.full((*size, 3), value, np.uint8)


def test_overlay_tints_outlines_and_leaves_the_rest():
    frame = grey()
    picture = overlay(frame, square(), [RED], alpha=0.5, outline=2, halo=(0, 0, 0))
    assert picture.shape == (40, 60, 3)
    assert picture.dtype == np.uint8
    assert picture[20, 30].tolist() == [175, 55, 60]  # halfway from grey to red
    for point in ((10, 30), (11, 30), (29, 30), (20, 10), (20, 49)):
        assert tuple(picture[point]) == RED
    assert tuple(picture[12, 30]) != RED
    for point in ((9, 30), (30, 30), (20, 9), (20, 50)):
        assert tuple(picture[point]) == (0, 0, 0)
    assert tuple(picture[8, 30]) == tuple(picture[0, 0]) == (100, 100, 100)
    assert (frame == 100).all()


def test_overlay_of_several_masks_and_without_lines():
    masks = np.stack([square(box=(0, 40, 0, 20)), square(box=(0, 40, 40, 60))])
    picture = overlay(grey(), masks, [RED, BLUE], alpha=1.0, outline=0)
    assert (picture[:, :20] == RED).all()
    assert (picture[:, 40:] == BLUE).all()
    assert (picture[:, 20:40] == 100).all()
    assert (overlay(grey(), np.zeros((40, 60), bool), [RED]) == 100).all()


def test_overlay_does_not_outline_the_border_of_the_frame_with_a_halo():
    full = np.ones((40, 60), bool)
    picture = overlay(grey(), full, [RED], alpha=0.0, outline=1, halo=(0, 0, 0))
    assert not (picture == 0).all(-1).any()
    assert tuple(picture[0, 0]) == RED
    assert tuple(picture[1, 1]) == (100, 100, 100)


def test_overlay_names_what_does_not_fit():
    with pytest.raises(ValueError, match="1 colours do not fit"):
        overlay(grey(), np.zeros((2, 40, 60)), [RED])
    with pytest.raises(ValueError, match=r"frame \(40, 60, 3\), masks \(1, 40, 61\)"):
        overlay(grey(), np.zeros((40, 61)), [RED])


def row(size=(112, 192), frames=6, supports=4, **changes):
    mask = square(size, (size[0] // 4, size[0] // 2, size[1] // 4, size[1] // 2))
    given = {
        "phrase": "the red one",
        "category": "dog",
        "query_frames": [grey(size, 200)] * frames,
        "truth": [mask] * frames,
        "prediction": [np.zeros(size, bool)] * frames,
        "support_frames": [grey(size, 50)] * supports,
        "support_masks": [mask] * supports,
        "kind": "color",
        "J": 0.5,
    }
    return SheetRow(**{**given, **changes})


def count(image, colour):
    return int((np.asarray(image) == colour).all(-1).sum())


def test_sheet_shows_support_truth_and_prediction():
    one = contact_sheet([row()])
    assert one.mode == "RGB"
    height = 2 * round(240 * 112 / 192)
    assert one.width == 24 * 2 + 16 * 2 + 5 * 240 + 3 * 6 + 18 + 24
    assert height + 100 < one.height < height + 220
    # Empty predictions: the colour stands in legend and label only.
    predicted = contact_sheet([row(prediction=row().truth)])
    assert predicted.size == one.size
    assert count(predicted, sheets.PREDICTION) > count(one, sheets.PREDICTION) + 4 * 300
    assert count(one, sheets.TRUTH) > 4 * 300
    assert count(one, sheets.SUPPORT) > 2 * 300
    alone = contact_sheet([row(supports=0)])
    assert count(alone, sheets.SUPPORT) < 500
    assert count(alone, (50, 50, 50)) < 200 < count(one, (50, 50, 50))


def test_sheet_grows_by_rows_and_columns():
    one, two = contact_sheet([row()]), contact_sheet([row(), row()])
    assert two.width == one.width
    assert two.height > one.height + 2 * round(240 * 112 / 192)
    assert contact_sheet([row()], title="Unseen categories").height > one.height
    assert contact_sheet([row()], support_frames=4).width == one.width + 246
    assert contact_sheet([row(frames=2)]).width == one.width - 2 * 246
    assert contact_sheet([row()], cell_width=320).width == one.width + 5 * 80
    # Cards without support or with few frames stay in line with the others.
    mixed = contact_sheet([row(), row(supports=0, frames=1, J=None, kind="")], support_frames=4)
    assert mixed.width == one.width + 246


@pytest.mark.parametrize("size", [(96, 160), (480, 854), (854, 480), (30, 20)])
def test_frames_of_any_size_fit_their_cell(size):
    assert contact_sheet([row(), row(size)]).size == contact_sheet([row(), row()]).size
    assert contact_sheet([row(size)]).width == contact_sheet([row()]).width


def test_text_differs_and_long_phrases_are_cut():
    short, other = contact_sheet([row()]), contact_sheet([row(phrase="the blue one")])
    assert not np.array_equal(np.asarray(short), np.asarray(other))
    long = contact_sheet([row(phrase="word " * 100)])
    assert long.size == short.size
    # Nothing is written over the chips at the right.
    chips = slice(24, 200), slice(short.width - 220, None)
    assert np.array_equal(np.asarray(long)[chips], np.asarray(short)[chips])


def test_sheet_names_what_does_not_fit():
    with pytest.raises(ValueError, match="at least one row"):
        contact_sheet([])
    with pytest.raises(ValueError, match="'the red one': no query frame"):
        contact_sheet([row(frames=0)])
    with pytest.raises(ValueError, match="truth masks differ"):
        contact_sheet([row(truth=row().truth[:2])])
    with pytest.raises(ValueError, match="prediction masks differ"):
        contact_sheet([row(prediction=[np.zeros((10, 10), bool)] * 6)])
    with pytest.raises(ValueError, match="support masks differ"):
        contact_sheet([row(support_masks=())])


def test_masks_are_palette_png(tmp_path):
    masks = np.stack([square(), np.zeros((40, 60), bool)])
    paths = save_masks(masks, tmp_path / "video" / "0", ["00000", "00005"], object_id=3)
    assert [path.name for path in paths] == ["00000.png", "00005.png"]
    assert sorted(path.name for path in (tmp_path / "video" / "0").iterdir()) == ["00000.png", "00005.png"]
    with Image.open(paths[0]) as image:
        assert image.mode == "P"
        assert np.array_equal(np.asarray(image), square() * 3)
        assert tuple(image.convert("RGB").getpixel((20, 20))) == (128, 128, 0)
    with Image.open(paths[1]) as image:
        assert not np.asarray(image).any()
    first = paths[0].read_bytes()
    save_masks(masks, tmp_path / "video" / "0", ["00000", "00005"], object_id=3)
    assert paths[0].read_bytes() == first


def test_palette_is_that_of_the_benchmarks():
    expected = [[0, 0, 0], [128, 0, 0], [0, 128, 0], [128, 128, 0], [0, 0, 128], [128, 0, 128]]
    assert label_palette()[:6].tolist() == expected
    assert label_palette()[8].tolist() == [64, 0, 0]
    assert label_palette()[255].tolist() == [224, 224, 192]


def test_bad_masks_are_named(tmp_path):
    with pytest.raises(ValueError, match="3 names"):
        save_masks(np.zeros((2, 4, 4), bool), tmp_path, ["a", "b", "c"])
    with pytest.raises(ValueError, match="id 256"):
        save_masks(np.zeros((1, 4, 4), bool), tmp_path, ["a"], object_id=256)
    assert not list(tmp_path.iterdir())


def test_images_are_written_whole(tmp_path):
    save_image(grey(), tmp_path / "a" / "b.png")
    save_image(Image.fromarray(grey()), tmp_path / "a" / "c.png")
    assert (tmp_path / "a" / "b.png").read_bytes() == (tmp_path / "a" / "c.png").read_bytes()
    assert len(list((tmp_path / "a").iterdir())) == 2


def flat(level, size=(6, 8)):
    return np.full((*size, 3), level, np.uint8)


def test_an_animation_shows_every_frame_for_its_time():
    with Image.open(io.BytesIO(animation([flat(0), flat(120), flat(255)], seconds=0.2))) as video:
        assert (video.format, video.n_frames, video.size, video.info["loop"]) == ("GIF", 3, (8, 6), 0)
        for frame, level in enumerate((0, 120, 255)):
            video.seek(frame)
            assert video.info["duration"] == 200
            np.testing.assert_array_equal(np.asarray(video.convert("RGB")), flat(level))


def test_a_still_clip_keeps_its_length():
    with Image.open(io.BytesIO(animation([flat(9)] * 4, seconds=0.25))) as video:
        times = []
        for frame in range(video.n_frames):
            video.seek(frame)
            times.append(video.info["duration"])
    assert sum(times) == 1000


def test_an_animation_is_the_same_bytes_every_time():
    frames = list(np.random.default_rng(0).integers(0, 256, (3, 12, 9, 3), dtype=np.uint8))
    assert animation(frames) == animation(frames)


@pytest.mark.parametrize("frames", [[], [flat(0), flat(0, (3, 8))]])
def test_an_animation_wants_frames_of_one_size(frames):
    with pytest.raises(ValueError, match="one size"):
        animation(frames)
