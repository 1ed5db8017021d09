"""Folders of pictures: what they give, in every mode, and what is refused with its name."""

import io
import os
import pickle
import struct
import sys
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image

from backlit.data import (
    DataLoader,
    ImageFolder,
    Table,
    TableEncoding,
    TableStream,
    load_image,
    open_image,
)
from backlit.errors import ArgumentError, DataError, MissingDependencyError, MissingFileError
from sampling import try_each

PIXELS = np.random.default_rng(0).integers(0, 256, (5, 4, 3), np.uint8)  # (H, W, C)


def picture(path, pixels=PIXELS, **settings):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **settings)
    return path


@pytest.fixture
def animals(tmp_path):
    root = tmp_path / "animals"
    for name, value in (("dog/1.png", 10), ("cat/b.png", 20), ("cat/a/1.png", 30)):
        picture(root / name, np.full((2, 3, 3), value, np.uint8))
    (root / "notes.txt").write_text("no picture")
    (root / "cat" / "notes.txt").write_text("no picture")
    return root


# -- one picture ----------------------------------------------------------------------------------


def test_a_picture_is_channels_height_and_width_in_0_to_1(tmp_path):
    x = load_image(picture(tmp_path / "a.png"))
    assert (x.shape, x.numpy().dtype) == ((3, 5, 4), np.float32)
    assert np.allclose(x.numpy(), PIXELS.transpose(2, 0, 1) / 255, atol=1e-7)
    with open(tmp_path / "a.png", "rb") as file:
        assert np.array_equal(np.asarray(open_image(file)), PIXELS)


def test_every_mode_becomes_the_one_that_is_asked_for(tmp_path):
    grey = PIXELS[..., 0]
    colours = Image.fromarray(PIXELS)
    see_through = Image.fromarray(np.dstack([PIXELS, grey]))
    wide = grey.astype(np.uint16) * 257
    palette = Image.fromarray(PIXELS // 64 * 64).quantize(64)
    clear = see_through.quantize(20)
    cases = {
        "L.png": (Image.fromarray(grey), np.dstack([grey] * 3)),
        "RGBA.png": (see_through, PIXELS),
        "P.png": (palette, np.asarray(palette.convert("RGB"))),
        "P transparent.png": (clear, np.asarray(clear.convert("RGBA"))[..., :3]),
        "CMYK.tif": (colours.convert("CMYK"), PIXELS),
        "1.png": (Image.fromarray(grey > 99), np.dstack([(grey > 99) * 255] * 3)),
        "LA.png": (see_through.convert("LA"), np.dstack([np.asarray(colours.convert("L"))] * 3)),
        "I;16.png": (Image.fromarray(wide), np.dstack([grey] * 3)),
        "P.gif": (palette, np.asarray(palette.convert("RGB"))),
    }

    def check(name):
        image, expected = cases[name]
        image.save(tmp_path / name)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            read = open_image(tmp_path / name)
            x = load_image(tmp_path / name)
        assert read.mode == "RGB"
        assert np.array_equal(np.asarray(read), expected)
        assert np.allclose(x.numpy(), np.moveaxis(expected, 2, 0) / 255, atol=1e-6)

    try_each(check, cases)
    x = load_image(tmp_path / "RGBA.png", "RGBA")
    assert np.allclose(x.numpy()[3], grey / 255)
    assert load_image(tmp_path / "L.png", "L").shape == (1, 5, 4)
    assert load_image(tmp_path / "I;16.png", "RGBA").shape == (4, 5, 4)


def test_all_bits_of_wide_grey_count(tmp_path):
    wide = np.array([[0, 1, 32768, 65535]], np.uint16)
    Image.fromarray(wide).save(tmp_path / "a.png")
    assert np.allclose(load_image(tmp_path / "a.png", "L").numpy()[0], wide / 65535, atol=1e-8)
    assert np.asarray(open_image(tmp_path / "a.png", "L")).tolist() == [[0, 0, 128, 255]]


def test_pixels_of_unknown_scale_are_refused(tmp_path):
    for pixels in (np.ones((2, 2), np.float32), np.ones((2, 2), np.int32)):
        Image.fromarray(pixels).save(tmp_path / "a.tif")
        with pytest.raises(
            DataError, match=r"a.tif must have 8 or 16 bits a pixel, got .* 32 bits"
        ):
            load_image(tmp_path / "a.tif")


def test_a_picture_is_turned_upright(tmp_path):
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[274] = orientation
        image = Image.fromarray(PIXELS)
        image.save(tmp_path / "a.png", exif=exif)
        expected = {1: PIXELS, 3: PIXELS[::-1, ::-1], 6: np.rot90(PIXELS, -1), 8: np.rot90(PIXELS)}
        read = np.asarray(open_image(tmp_path / "a.png"))
        if orientation in expected:
            assert np.array_equal(read, expected[orientation])
        assert read.shape == ((4, 5, 3) if orientation > 4 else (5, 4, 3))


def png(width, height, bits=b""):
    def chunk(name, data):
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    header = struct.pack(">2I5B", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", bits) + chunk(b"IEND", b"")
    )


def damaged_files(folder):
    """Files that are no pictures, and what is said of each."""
    whole = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(whole, "JPEG")
    bits = picture(folder / "kept.png", noise).read_bytes()
    half = len(bits) // 2
    flipped = bits[:half] + bytes([bits[half] ^ 0xFF]) + bits[half + 1 :]
    eps = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n"
    cases = {
        "empty.png": (b"", r"empty.png is empty \(0 bytes\); remove it or fetch it again"),
        "text.jpg": (b"<html>404 Not Found</html>", "text.jpg is no picture in a format of pixels"),
        "cut.jpg": (whole.getvalue()[:-900], "cut.jpg is damaged or truncated: .*truncated"),
        "cut.png": (bits[:half], "cut.png is damaged or truncated"),
        "flipped.png": (flipped, "flipped.png is damaged or truncated"),
        "bomb.png": (png(50_000, 50_000), "bomb.png has too many pixels: .*decompression bomb"),
        "large.png": (png(9_500, 9_500), "large.png (has too many|must have at most 89,478,485) p"),
        "program.png": (eps, "program.png is no picture in a format of pixels"),
    }
    for name, (data, _) in cases.items():
        (folder / name).write_bytes(data)
    return {name: message for name, (_, message) in cases.items()}


@pytest.mark.filterwarnings("default")
def test_files_that_are_no_pictures_are_refused_by_name(tmp_path):
    messages = damaged_files(tmp_path)

    def check(name):
        for read in (open_image, load_image):
            with pytest.raises(DataError, match=messages[name]):
                read(tmp_path / name)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        try_each(check, messages)
    with pytest.raises(MissingFileError, match=r"open_image: .*none.png does not exist"):
        open_image(tmp_path / "none.png")
    with pytest.raises(DataError, match="must be a file, but is a folder"):
        open_image(tmp_path)
    with pytest.raises(ArgumentError, match="mode must be one of RGB, L, RGBA, got 'HSV'"):
        load_image(tmp_path / "kept.png", "HSV")


def test_without_pillow_it_is_said_what_to_install(animals, monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'backlit\[data\]'"):
        ImageFolder(animals)


# -- folders --------------------------------------------------------------------------------------


def test_the_class_is_the_folder(animals):
    data = ImageFolder(animals)
    assert data.classes == ["cat", "dog"]
    assert data.class_to_idx == {"cat": 0, "dog": 1}
    # The order of torchvision: by folder, then by name.
    names = [os.path.relpath(path, animals) for path, _ in data.samples]
    assert names == [os.path.join("cat", "b.png"), os.path.join("cat", "a", "1.png"), "dog/1.png"]
    assert data.targets == [0, 0, 1]
    assert data.imgs is data.samples
    assert not data.multi_label
    x, y = data[-1]
    assert (x.shape, y) == ((3, 2, 3), 1)
    assert np.allclose(x.numpy(), 10 / 255)
    images, labels = next(iter(DataLoader(data, batch_size=3)))
    assert images.shape == (3, 3, 2, 3)
    assert labels.tolist() == [0, 0, 1]
    assert repr(data).endswith("animals', 3 files, 2 classes)")


def test_a_transform_gets_the_picture_and_a_loader_makes_another(animals):
    data = ImageFolder(animals, lambda image: image.size, lambda y: -y, mode="L")
    assert data[2] == ((3, 2), -1)
    assert ImageFolder(animals, lambda image: image.mode, mode="L")[0][0] == "L"
    names = ImageFolder(animals, loader=os.path.basename)
    assert [name for name, _ in names] == ["b.png", "1.png", "1.png"]
    only = ImageFolder(animals, is_valid_file=lambda path: path.endswith("1.png"))
    assert len(only) == 2


def test_hidden_files_are_no_pictures(animals):
    for name in ("cat/._b.png", "cat/.thumbs/1.png", ".hidden/1.png"):
        picture(animals / name)
    assert len(ImageFolder(animals)) == 3
    assert ImageFolder(animals).classes == ["cat", "dog"]


def test_a_name_that_lies_and_capitals_do_not_matter(animals):
    picture(animals / "dog" / "2.JPG")
    os.replace(animals / "dog" / "1.png", animals / "dog" / "1.jpeg")
    data = ImageFolder(animals)
    assert data[3][0].shape == (3, 5, 4)
    assert data[2][0].shape == (3, 2, 3)
    report = data.check(pixels=True)
    assert report.misnamed == [(str(animals / "dog" / "1.jpeg"), "PNG")]
    assert report.sizes == {(3, 2): 3, (4, 5): 1}
    assert report.modes == {"RGB": 4}
    assert report.formats == {"PNG": 3, "JPEG": 1}
    assert not report.damaged
    assert str(report).startswith("sizes    3 x 2 (3), 4 x 5 (1)\nmodes    RGB (4)\n")
    with pytest.raises(ValueError, match="all examples must have the same shape"):
        list(DataLoader(data, batch_size=4))


@pytest.mark.filterwarnings("default")
def test_a_check_names_all_damaged_files(tmp_path):
    folder = tmp_path / "root" / "class"
    folder.mkdir(parents=True)
    messages = damaged_files(folder)
    (folder / "empty.png").unlink()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        report = ImageFolder(tmp_path / "root").check(pixels=True)
    assert {os.path.basename(path) for path, _ in report.damaged} == set(messages) - {"empty.png"}
    assert "cut.jpg is damaged or truncated" in str(report)
    assert report.sizes.total() == 1


def test_folders_that_are_wrong_are_refused_when_they_are_opened(animals):
    def with_file(name, make):
        def change():
            path = animals / name
            path.parent.mkdir(exist_ok=True)
            make(path)
            return path

        return change

    loop = animals / "dog" / "loop"
    cases = [
        (with_file("dog/2.png", lambda p: p.touch()), r"2.png is empty \(0 bytes\)"),
        (with_file("dog/2.png", os.mkfifo), "2.png must be a file, but is a pipe, a device"),
        (with_file("dog/2.png", lambda p: p.symlink_to("/dev/zero")), "2.png must be a file, but"),
        (with_file("dog/2.png", lambda p: p.symlink_to("nowhere")), "2.png is a broken link; rem"),
        (with_file("dog/2.png", lambda p: p.symlink_to(p)), "2.png is a broken link; remove it"),
        (with_file("dog/loop", lambda p: p.symlink_to("..")), "loop is a link to .*, a folder in"),
        (with_file("dog/loop", lambda p: p.symlink_to(animals.parent)), "loop is a link to"),
        (with_file("fox/a.txt", lambda p: p.touch()), "class 'fox' must have .*, but .* has a.txt"),
    ]

    def check(case):
        change, message = case
        made = change()
        try:
            with pytest.raises(DataError, match=message):
                ImageFolder(animals)
        finally:
            made.unlink()

    try_each(check, cases)
    assert not loop.exists()
    assert ImageFolder(animals, allow_empty=True).classes == ["cat", "dog", "fox"]


def test_what_may_not_be_read_is_refused_by_name(animals, monkeypatch):
    def refused(error):
        def refuse(*arguments, **settings):
            raise error

        return refuse

    data = ImageFolder(animals)
    denied = PermissionError(13, "Permission denied")
    for error, message in ((denied, "Permission denied"), (MemoryError(), "MemoryError")):
        with monkeypatch.context() as patch:
            patch.setattr(Image, "open", refused(error))
            with pytest.raises(DataError, match=f"b.png cannot be read: {message}; remove it"):
                data[0]
    monkeypatch.setattr(os, "scandir", refused(denied))
    with pytest.raises(DataError, match="animals cannot be read: Permission denied; check"):
        ImageFolder(animals)


def test_data_sets_can_be_sent_to_other_processes(animals, tmp_path):
    (tmp_path / "a.csv").write_text("x,y\n1,2\n3,4\n")
    stream = TableStream(tmp_path / "a.csv", target="y")
    for data in (
        ImageFolder(animals),
        Table(tmp_path / "a.csv"),
        TableEncoding(stream)(stream),
    ):
        again = pickle.loads(pickle.dumps(data))
        assert type(again) is type(data)
        assert len(list(again)) == len(list(data))


def test_links_to_other_folders_are_followed(animals, tmp_path):
    picture(tmp_path / "elsewhere" / "1.png")
    (animals / "fox").symlink_to(tmp_path / "elsewhere")
    (animals / "dog" / "more").symlink_to(tmp_path / "elsewhere")
    data = ImageFolder(animals)
    assert data.targets == [0, 0, 1, 1, 2]


def test_folders_without_classes(tmp_path):
    with pytest.raises(MissingFileError, match="nowhere must be a folder, but is none"):
        ImageFolder(tmp_path / "nowhere")
    picture(tmp_path / "flat" / "1.png")
    with pytest.raises(
        DataError, match=r"must have a folder for each class, but has 1.png; or pas"
    ):
        ImageFolder(tmp_path / "flat")
    for i in range(2, 9):
        picture(tmp_path / "flat" / f"{i}.png")
    with pytest.raises(DataError, match=r"but has 1.png, 2.png, .*, 6.png and 2 more; or pass"):
        ImageFolder(tmp_path / "flat")
    with pytest.raises(ArgumentError, match="transform must be a function, got 'resize'"):
        ImageFolder(tmp_path / "flat", "resize")


# -- tables of labels -----------------------------------------------------------------------------


@pytest.fixture
def flat(tmp_path):
    root = tmp_path / "flat"
    for name in ("1.png", "2.png", "10.png", "in/3.png"):
        picture(root / name)
    return root


def test_labels_stand_in_a_table(flat):
    table = flat / "labels.csv"
    table.write_text("file,label\n2.png,dog\n1.png,cat\nin/3.png,dog\n")
    data = ImageFolder(flat, labels="labels.csv")
    assert data.classes == ["cat", "dog"]
    assert [(os.path.relpath(p, flat), y) for p, y in data.samples] == [
        ("2.png", 1),
        ("1.png", 0),
        ("in/3.png", 1),
    ]
    assert data.unlabelled == [str(flat / "10.png")]
    assert data[0][1] == 1
    for labels in (
        table,
        {"2.png": "dog", "1.png": "cat", "in/3.png": "dog"},
        [("2.png", "dog"), ("./1.png", "cat"), ("in/3.png", "dog")],
    ):
        assert ImageFolder(flat, labels=labels).samples == data.samples
    table.write_text("id,width,class\n2,4,dog\n1,4,cat\nin/3,4,dog\n")  # without extensions
    assert ImageFolder(flat, labels=table).samples == data.samples
    numbers = ImageFolder(flat, labels={"1.png": 10, "2.png": 9})
    assert numbers.classes == ["9", "10"]  # in the order of the numbers


def test_files_with_several_labels(flat):
    rows = "file,tag\n1.png,sea\n2.png,sky\n1.png,sky\n"
    cell = "file,tag\n1.png,sea|sky\n2.png,sky\n"
    ones = "file,sea,sky\n1.png,1,1\n2.png,0,1\n"
    cases = [
        (rows, None),
        (cell, "|"),
        (ones, None),
        ({"1.png": ["sea", "sky"], "2.png": ["sky"]}, None),
    ]

    def check(case):
        labels, separator = case
        if isinstance(labels, str):
            (flat / "labels.csv").write_text(labels)
            labels = "labels.csv"
        data = ImageFolder(flat, labels=labels, separator=separator)
        assert data.multi_label
        assert data.classes == ["sea", "sky"]
        assert data.targets == [(0, 1), (1,)]
        y = data[1][1].numpy()
        assert y.dtype == np.float32
        assert y.tolist() == [0, 1]
        assert next(iter(DataLoader(data, batch_size=2)))[1].tolist() == [[1, 1], [0, 1]]

    try_each(check, cases)


def test_a_table_of_labels_in_the_folder_one_stands_in(flat, monkeypatch):
    (flat / "labels.csv").write_text("file,label\n1.png,a\n")
    monkeypatch.chdir(flat)
    for root in (".", "./", f"../{flat.name}"):
        assert ImageFolder(root, labels="labels.csv").classes == ["a"]
    with pytest.raises(DataError, match=r"files must lie inside of \., got '\.\./x.png'"):
        ImageFolder(".", labels={"../x.png": "a"})


def test_tables_of_labels_that_are_wrong(flat):
    outside = flat.parent / "outside.png"
    picture(outside)
    cases = [
        ("file,label\n9.png,a\n", r"labels.csv:2: the file '9.png' is not in .*; remove the row"),
        ("file,label\n../outside.png,a\n", r"labels.csv:2: files must lie inside of .*'../outs"),
        (f"file,label\n{outside},a\n", r"labels.csv:2: files must lie inside of"),
        ("file,label\nin/../../outside.png,a\n", r"labels.csv:2: files must lie inside of"),
        ("file,label\n.,a\n", r"labels.csv:2: files must lie inside of"),
        ("file,label\n1.png,\n", r"the file .*1.png must have a label, got none"),
        ("file\n1.png\n", "must have a column of files and one of labels, got file"),
        ("file,a,b\n1.png,x,y\n", "must have two columns, .* or one called label or .*, got file"),
        ("file,label\n1.png,a,b\n", r"labels.csv:2: each record must have 2 fields"),
        ("1.png,a\n2.png,b\n", r"labels.csv:1: the first line must have the names of the columns"),
        ("file,label\n", "labels must name at least one file, got none"),
    ]

    def check(case):
        text, message = case
        (flat / "labels.csv").write_text(text)
        with pytest.raises(DataError, match=message):
            ImageFolder(flat, labels="labels.csv")

    try_each(check, cases)
    with pytest.raises(DataError, match=r"nowhere.csv cannot be read: No such file"):
        ImageFolder(flat, labels="nowhere.csv")
    with pytest.raises(ArgumentError, match="labels, entry 0: labels must be a file of a table"):
        ImageFolder(flat, labels=["1.png"])
    (flat / "1.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"1.png is empty \(0 bytes\)"):
        ImageFolder(flat, labels={"1.png": "a"})
    with pytest.raises(DataError, match=r"entry 0: files must lie inside of .*got 'a\\x00b'"):
        ImageFolder(flat, labels={"a\0b": "a"})
