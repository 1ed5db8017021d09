"""Downloads from a server of this machine: broken, resumed, wrong, redirected, on a full disk."""

import contextlib
import gzip
import hashlib
import http.server
import io
import resource
import struct
import tarfile
import threading
import urllib.request
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from backlit.data import (
    cifar10,
    cifar100,
    download,
    fashion_mnist,
    mnist,
    published,
    tiny_shakespeare,
    wnut17,
)
from backlit.data.published import PUBLISHED
from backlit.data.transfer import FailedError, _NoDowngrade
from backlit.errors import ArgumentError, DataError, MissingFileError
from backlit.files import hold
from sampling import try_each

DATA = np.random.default_rng(0).bytes(300_000)
RIGHT = hashlib.sha256(DATA).hexdigest()


@dataclass
class Server:
    """What a server of this machine has, how it misbehaves, and what it was asked."""

    address: str = ""
    files: dict = field(default_factory=lambda: {"/file": DATA})
    ranges: bool = True
    version: str | None = '"1"'
    breaks: list = field(default_factory=list)  # after so many bytes, each answer in turn
    answers: dict = field(default_factory=dict)  # path: code, or where to
    announce: int | None = None  # another length; 0 for none
    shift: int = 0  # by which it misses what is asked for
    asked: list = field(default_factory=list)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *words):
        pass

    def do_GET(self):
        told = self.server.told
        told.asked.append((self.path, self.headers.get("Range"), self.headers.get("If-Range")))
        answer = told.answers.get(self.path)
        if isinstance(answer, str):
            self.send_response(302)
            self.send_header("Location", answer)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if answer or self.path not in told.files:
            self.send_error(answer or 404)
            return
        data, first = told.files[self.path], 0
        asked, version = self.headers.get("Range"), self.headers.get("If-Range")
        if told.ranges and asked and version in (None, told.version):
            first = int(asked.removeprefix("bytes=").rstrip("-")) + told.shift
            if first >= len(data):
                self.send_error(416)
                return
        self.send_response(206 if first else 200)
        if first:
            self.send_header("Content-Range", f"bytes {first}-{len(data) - 1}/{len(data)}")
        if told.version:
            self.send_header("ETag", told.version)
        if told.announce != 0:
            self.send_header("Content-Length", str(told.announce or len(data) - first))
        self.end_headers()
        stop = told.breaks.pop(0) if told.breaks else len(data)
        with contextlib.suppress(OSError):
            self.wfile.write(data[first : first + stop])
        self.close_connection = True


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    running = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    running.told = Server(f"http://127.0.0.1:{running.server_port}")
    thread = threading.Thread(target=running.serve_forever, args=(0.01,))
    thread.start()
    yield running.told
    running.shutdown()
    running.server_close()
    thread.join()


def left(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_fetched_once(server, tmp_path):
    path = tmp_path / "new" / "file"
    told = []
    url = f"{server.address}/file"

    def tell(done, total):
        told.append((done, total))

    found = download(url, path, sha256=RIGHT.upper(), size=len(DATA), progress=tell)
    assert found == path
    assert path.read_bytes() == DATA
    assert left(path.parent) == ["file"]
    assert told[0] == (0, len(DATA))
    assert told[-1] == (len(DATA), len(DATA))
    assert download(url, path, sha256=RIGHT) == path
    assert download(url, path) == path
    assert len(server.asked) == 1


def test_a_bar_is_shown_on_request(server, tmp_path, capsys):
    download(f"{server.address}/file", tmp_path / "a", progress=True)
    out, err = capsys.readouterr()
    assert not out
    assert "a" in err
    assert "300.0/300.0 kB" in err


def test_a_broken_transfer_goes_on_where_it_stopped(server, tmp_path):
    server.breaks = [100_000, 50_000]
    download(f"{server.address}/file", tmp_path / "file", sha256=RIGHT)
    assert (tmp_path / "file").read_bytes() == DATA
    assert server.asked == [
        ("/file", None, None),
        ("/file", "bytes=100000-", '"1"'),
        ("/file", "bytes=150000-", '"1"'),
    ]
    assert left(tmp_path) == ["file"]


def broken(server, tmp_path, stop=100_000):
    """A part of a file, left by a download that was given up."""
    server.breaks = [stop, 0, 0]
    with pytest.raises(DataError, match="broke off"):
        download(f"{server.address}/file", tmp_path / "file", sha256=RIGHT)
    server.asked.clear()
    assert not (tmp_path / "file").exists()
    assert (tmp_path / ".file.part").stat().st_size == stop


def test_the_next_call_goes_on_too(server, tmp_path):
    broken(server, tmp_path)
    download(f"{server.address}/file", tmp_path / "file", sha256=RIGHT)
    assert server.asked == [("/file", "bytes=100000-", '"1"')]
    assert (tmp_path / "file").read_bytes() == DATA
    assert left(tmp_path) == ["file"]


def test_another_version_begins_anew(server, tmp_path):
    broken(server, tmp_path)
    server.version, server.files["/file"] = '"2"', DATA[::-1]
    download(f"{server.address}/file", tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == DATA[::-1]


def test_a_part_is_not_trusted_if_nothing_can_tell_that_it_fits(server, tmp_path):
    server.version = None
    broken(server, tmp_path)
    download(f"{server.address}/file", tmp_path / "file")  # without a checksum
    assert server.asked == [("/file", None, None)]
    assert (tmp_path / "file").read_bytes() == DATA


def test_a_part_of_another_file_is_found_by_the_checksum(server, tmp_path):
    server.version = None
    (tmp_path / ".file.part").write_bytes(bytes(100_000))
    download(f"{server.address}/file", tmp_path / "file", sha256=RIGHT)
    assert [asked for _, asked, _ in server.asked] == ["bytes=100000-", None]
    assert (tmp_path / "file").read_bytes() == DATA
    (tmp_path / "file").unlink()
    (tmp_path / ".file.part").write_bytes(DATA + b"more")  # they have less: 416
    download(f"{server.address}/file", tmp_path / "file", sha256=RIGHT)
    assert (tmp_path / "file").read_bytes() == DATA
    assert left(tmp_path) == ["file"]


def test_a_damaged_note_is_no_note(server, tmp_path):
    for note in (b"\xff", b"[]", b'{"url": 3}'):
        (tmp_path / ".file.part").write_bytes(bytes(10))
        (tmp_path / ".file.part.json").write_bytes(note)
        download(f"{server.address}/file", tmp_path / "file")
        assert (tmp_path / "file").read_bytes() == DATA
        (tmp_path / "file").unlink()


def test_a_server_without_ranges_begins_anew(server, tmp_path):
    broken(server, tmp_path)
    server.ranges = False
    download(f"{server.address}/file", tmp_path / "file", sha256=RIGHT)
    assert server.asked == [("/file", "bytes=100000-", '"1"')]
    assert (tmp_path / "file").read_bytes() == DATA


def test_a_wrong_checksum_leaves_nothing(server, tmp_path):
    server.files["/file"] = DATA[:-1] + b"x"
    with pytest.raises(DataError, match=f"has the SHA-256 [0-9a-f]+ instead of {RIGHT}; check the"):
        download(f"{server.address}/file", tmp_path / "file", sha256=RIGHT)
    assert left(tmp_path) == []


def test_a_file_that_is_there_and_is_another_is_kept(server, tmp_path):
    (tmp_path / "file").write_bytes(b"mine")
    with pytest.raises(DataError, match=f"must have the SHA-256 {RIGHT}, got .*: remove it, and"):
        download(f"{server.address}/file", tmp_path / "file", sha256=RIGHT)
    assert (tmp_path / "file").read_bytes() == b"mine"
    assert not server.asked


def test_mirrors_are_tried_in_turn(server, tmp_path):
    server.answers["/wrong"] = 403
    urls = [
        "http://127.0.0.1:1/file",  # nobody is there
        f"{server.address}/nowhere",
        f"{server.address}/wrong",
        f"{server.address}/file",
    ]
    download(urls, tmp_path / "file", sha256=RIGHT)
    assert [path for path, *_ in server.asked] == ["/nowhere", "/wrong", "/file"]
    (tmp_path / "file").unlink()
    with pytest.raises(DataError) as caught:
        download(urls[:3], tmp_path / "file")
    message = str(caught.value)
    assert f"{urls[0]} cannot be reached: " in message
    assert f"{urls[1]} answers 404 Not Found; {urls[2]} answers 403 Forbidden; check the" in message
    assert left(tmp_path) == []


def test_a_server_that_is_busy_is_asked_again(server, tmp_path):
    server.answers["/file"] = 503
    with pytest.raises(DataError, match="answers 503 Service Unavailable"):
        download(f"{server.address}/file", tmp_path / "file")
    assert len(server.asked) == 3


def test_redirections_are_followed(server, tmp_path):
    server.answers |= {"/old": "/file", "/round": "/round", "/local": "file:///etc/passwd"}
    download(f"{server.address}/old", tmp_path / "file", sha256=RIGHT)
    for path, message in (("round", "answers 302 .*loop"), ("local", "answers 302 .*not allowed")):
        with pytest.raises(DataError, match=message):
            download(f"{server.address}/{path}", tmp_path / "other")


def test_lengths_that_are_not_as_published(server, tmp_path):
    with pytest.raises(DataError, match="has 300,000 bytes instead of 5;"):
        download(f"{server.address}/file", tmp_path / "file", size=5)
    server.announce = 5
    with pytest.raises(DataError, match=r"has the SHA-256 "):
        download(f"{server.address}/file", tmp_path / "file", sha256=RIGHT)
    server.announce = 0
    with pytest.raises(DataError, match="sends more than 100 bytes;"):
        download(f"{server.address}/file", tmp_path / "file", size=100)
    assert left(tmp_path) == []
    download(f"{server.address}/file", tmp_path / "unknown")
    assert (tmp_path / "unknown").read_bytes() == DATA
    server.announce = 400_000
    with pytest.raises(DataError, match="broke off"):
        download(f"{server.address}/file", tmp_path / "file")
    assert not (tmp_path / "file").exists()


def test_a_server_that_gives_another_part_is_not_believed(server, tmp_path):
    broken(server, tmp_path)
    server.shift = 5
    download(f"{server.address}/file", tmp_path / "file")
    assert [asked for _, asked, _ in server.asked] == ["bytes=100000-", None]
    assert (tmp_path / "file").read_bytes() == DATA


def test_nobody_is_led_off_the_encrypted_path():
    asked = urllib.request.Request("https://host/file")
    with pytest.raises(FailedError, match="is redirected to http://host/, which is not encrypted"):
        _NoDowngrade().redirect_request(asked, None, 302, "Found", {}, "http://host/")


def test_two_cannot_fetch_to_one_folder(server, tmp_path):
    def start():
        with contextlib.suppress(DataError), hold(tmp_path, "another"):
            holding.set()
            done.wait(30)

    holding, done = threading.Event(), threading.Event()
    thread = threading.Thread(target=start)
    thread.start()
    holding.wait(30)
    with pytest.raises(DataError, match=r"download: .* is in use by process \d+ on .*; wait until"):
        download(f"{server.address}/file", tmp_path / "file")
    done.set()
    thread.join()


def test_other_addresses_are_refused(tmp_path):
    for url in ("file:///etc/passwd", "ftp://host/file", "/etc/passwd"):
        with pytest.raises(ArgumentError, match="url must begin with http:// or https://, got"):
            download(url, tmp_path / "file")
    with pytest.raises(ArgumentError, match="at least one address, got none"):
        download([], tmp_path / "file")
    with pytest.raises(ArgumentError, match="path must be a file's, got the folder"):
        download("https://host/file", tmp_path)


def test_a_full_disk_keeps_what_there_is(server, tmp_path, monkeypatch):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
    try:
        with pytest.raises(DataError, match="cannot be written: File too large; free space and"):
            download(f"{server.address}/file", tmp_path / "file", sha256=RIGHT)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not (tmp_path / "file").exists()
    download(f"{server.address}/file", tmp_path / "file", sha256=RIGHT)
    assert server.asked[-1][1] is not None  # from there on
    assert (tmp_path / "file").read_bytes() == DATA
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 7}))
    with pytest.raises(DataError, match="needs 300,000 bytes more, and the disk has 7; free space"):
        download(f"{server.address}/file", tmp_path / "other")


# -- published sets -------------------------------------------------------------------------------


def idx(array):
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


def archive(folder, labels, names):
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as tar:
        for name in names:
            record = tarfile.TarInfo(f"{folder}/{name}")
            data = bytes([7] * labels) + bytes(3072)
            record.size = len(data)
            tar.addfile(record, io.BytesIO(data))
    return made.getvalue()


def small():
    """Each file of the published sets, made small."""
    images, labels = np.full((2, 28, 28), 51, np.uint8), np.array([3, 4], np.uint8)
    made = {
        "cifar-10-binary.tar.gz": archive(
            "cifar-10-batches-bin", 1, ["data_batch_1.bin", "test_batch.bin"]
        ),
        "cifar-100-binary.tar.gz": archive("cifar-100-binary", 2, ["test.bin", "train.bin"]),
        "input.txt": b"First Citizen:\n",
        "wnut17train.conll": b"a\tO\n",
        "emerging.dev.conll": b"b\tO\n",
        "emerging.test.annotated": b"c\tO\n",
    }
    for part in ("train", "t10k"):
        made[f"{part}-images-idx3-ubyte.gz"] = gzip.compress(idx(images))
        made[f"{part}-labels-idx1-ubyte.gz"] = gzip.compress(idx(labels))
    return made


@pytest.fixture
def mirror(server, monkeypatch):
    """The published sets, small, on the server of this machine; the first mirror is dead."""
    contents = small()
    for constant, kept in vars(published).copy().items():
        if kept not in PUBLISHED:
            continue
        files = tuple(
            replace(
                file,
                size=len(contents[file.name]),
                sha256=hashlib.sha256(contents[file.name]).hexdigest(),
            )
            for file in kept.files
        )
        mirrors = ("http://127.0.0.1:1/", f"{server.address}/{kept.name}/")
        monkeypatch.setattr(published, constant, replace(kept, mirrors=mirrors, files=files))
        server.files |= {f"/{kept.name}/{file.name}": contents[file.name] for file in files}
    return server


def test_images_are_fetched_when_it_is_asked_for_and_then_are_there(tmp_path, mirror):
    def check(make):
        root = tmp_path / make.__name__
        train, test = make(root, download=True)
        count = len(mirror.asked)
        again, _ = make(root)
        assert len(mirror.asked) == count
        assert np.array_equal(train.tensors[0].numpy(), again.tensors[0].numpy())
        x, y = (t.numpy() for t in test.tensors)
        if "mnist" in make.__name__:
            assert (x.shape, y.tolist()) == ((2, 1, 28, 28), [3, 4])
            assert np.allclose(x, 0.2)
        else:
            assert (x.shape, y.tolist()) == ((1, 3, 32, 32), [7])

    try_each(check, [mnist, fashion_mnist, cifar10, cifar100])
    assert cifar10(tmp_path / "cifar10", scale=False)[0].tensors[0].numpy().dtype == np.uint8


def test_texts_are_fetched_when_it_is_asked_for(tmp_path, mirror):
    assert tiny_shakespeare(tmp_path, download=True).read_text() == "First Citizen:\n"
    paths = wnut17(tmp_path, download=True)
    assert {part: path.read_text()[0] for part, path in paths.items()} == {
        "train": "a",
        "dev": "b",
        "test": "c",
    }
    assert len(mirror.asked) == 4


def test_only_what_is_missing_is_fetched(tmp_path, mirror):
    plain = gzip.decompress(mirror.files["/mnist/train-images-idx3-ubyte.gz"])
    (tmp_path / "train-images-idx3-ubyte").write_bytes(plain)  # of a person who unpacked it
    mnist(tmp_path, download=True)
    assert len(mirror.asked) == 3
    assert not (tmp_path / "train-images-idx3-ubyte.gz").exists()


def test_files_are_found_where_others_put_them(tmp_path, mirror):
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for part in ("train", "t10k"):
        for name in (f"{part}-images-idx3-ubyte.gz", f"{part}-labels-idx1-ubyte.gz"):
            (raw / name).write_bytes(mirror.files[f"/mnist/{name}"])
    assert len(mnist(tmp_path)[0]) == 2
    unpacked = tmp_path / "cifar-10-batches-bin"
    unpacked.mkdir()
    for name in ("data_batch_1.bin", "test_batch.bin"):
        (unpacked / name).write_bytes(bytes(3073))
    assert cifar10(tmp_path)[0].tensors[1].tolist() == [0]
    assert not mirror.asked


def test_nothing_is_fetched_unless_it_is_asked_for(tmp_path, server):
    def check(make):
        with pytest.raises(MissingFileError, match="; pass download=True to fetch") as caught:
            make(tmp_path)
        assert f"must lie in {tmp_path} (looked for in {tmp_path}" in str(caught.value)
        assert "by hand from https://" in str(caught.value)

    try_each(check, [mnist, fashion_mnist, cifar10, cifar100, tiny_shakespeare, wnut17])
    assert left(tmp_path) == []
    message = r"mnist: train-images-idx3-ubyte.gz, .* 11.6 MB from storage.googleapis.com, or put"
    with pytest.raises(MissingFileError, match=message):
        mnist(tmp_path)


def test_what_is_stated_of_published_files_can_be_right():
    for published_set in PUBLISHED:
        for file in published_set.files:
            assert len(bytes.fromhex(file.sha256)) == 32
            assert file.size > 1000
        assert all(address.endswith("/") for address in published_set.mirrors)
