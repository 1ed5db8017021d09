"""The room `backlit.torchvision`: its names, what they make, and scripts, beside torchvision's own.

What torchvision has and makes is written down by `scripts/torchvision_facts.py`.
"""

import functools
import importlib
import json
import pickle
import re
import sys
from pathlib import Path

import numpy as np
import pytest

import backlit.torch as torch
import backlit.torchvision as torchvision
from backlit.errors import ArgumentError, DataError, MissingFileError, SpellingError
from backlit.torch.instead import run
from backlit.torch.missing_vision import MISSING_VISION

from .vision_cases import cases, digest

HERE = Path(__file__).parent
FACTS = json.loads((HERE / "torchvision.json").read_text("utf-8"))
NAMES = sorted(FACTS["losses"])
QUICK = ("vision_mnist", "vision_denoising", "vision_dcgan")


@pytest.fixture
def course(monkeypatch):
    """What the scripts share can be imported, and holds a stream of numbers from its beginning."""
    monkeypatch.syspath_prepend(HERE / "scripts")
    monkeypatch.syspath_prepend("")  # a script's own folder takes its place
    for name in ("course", "pictures"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    yield
    for name in ("course", "pictures"):
        sys.modules.pop(name, None)


# -- names, pixels, losses ------------------------------------------------------------------------


@pytest.mark.parametrize("room", FACTS["names"])
def test_every_name_of_torchvision_is_there_or_says_what_to_do(room):
    module = importlib.import_module(f"backlit.torchvision.{room}")
    said = []
    for name in FACTS["names"][room]:
        try:
            assert getattr(module, name) is not None
        except SpellingError as error:
            said.append(str(error))
    wrong = [s for s in said if not re.match(rf"torchvision\.{room}\.\w+: not in Backlit; \w", s)]
    assert not wrong
    assert len(said) < len(FACTS["names"][room])


def test_no_name_has_a_cure_that_is_there():
    for full, cure in MISSING_VISION.items():
        _, *names = full.split(".")
        with pytest.raises(SpellingError, match=re.escape(f"not in Backlit; {cure}")):
            functools.reduce(getattr, names, torchvision)


def test_what_is_made_is_what_torchvision_makes(course, tmp_path):
    made = {name: digest(x) for name, x in cases(torchvision, torch, str(tmp_path)).items()}
    assert set(made) == set(FACTS["made"])
    wrong = []
    for name, (shape, dtype, number) in FACTS["made"].items():
        exact = not dtype.startswith("float")
        near = made[name][2] == number if exact else np.isclose(made[name][2], number, rtol=1e-6)
        if made[name][:2] != [shape, dtype] or not near:
            wrong.append(f"{name}: {made[name]}, torchvision: {shape, dtype, number}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    "name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in NAMES]
)
def test_a_script_has_the_losses_that_it_has_with_torchvision(name, course, capsys):
    theirs = np.array(FACTS["losses"][name])
    ours = np.array(run(str(HERE / "scripts" / f"{name}.py"))["losses"], float)
    assert len(ours) == len(theirs) >= 20
    assert np.allclose(ours, theirs, rtol=1e-4, atol=1e-4), abs(ours - theirs).max()


AUGMENTED = """
import sys
import tempfile

import torch
from course import set_weights
from pictures import cifar_files
from torch.utils.data import DataLoader
from torchvision import datasets, transforms
from torchvision.transforms import v2

torch.manual_seed(int(sys.argv[1]))
transform = transforms.Compose([
    transforms.RandomCrop(32, padding=4),
    transforms.RandomHorizontalFlip(),
    transforms.ColorJitter(0.2, 0.2, 0.2, 0.1),
    transforms.RandomApply([transforms.GaussianBlur(3), transforms.RandomRotation(10)], p=0.5),
    transforms.TrivialAugmentWide(),
    v2.RandomResizedCrop(24, antialias=True),
    transforms.ToTensor(),
    transforms.RandomErasing(),
])
net = set_weights(torch.nn.Linear(3 * 24 * 24, 10))
mix = v2.RandomChoice([v2.CutMix(num_classes=10), v2.MixUp(num_classes=10)])
losses = []
with tempfile.TemporaryDirectory() as root:
    cifar_files(root, 2)
    loader = DataLoader(datasets.CIFAR10(root, transform=transform), 5, shuffle=True)
    for x, y in loader:
        x, y = mix(x, y)
        losses.append(torch.nn.functional.cross_entropy(net(x.flatten(1)), y).item())
"""


def test_a_script_that_augments_runs_and_depends_on_its_seed_alone(course, tmp_path):
    (tmp_path / "train.py").write_text(AUGMENTED)
    first, again, other = (run(str(tmp_path / "train.py"), [s])["losses"] for s in "001")
    assert len(first) == 2
    assert np.isfinite(first).all()
    assert first == again != other


# -- files, and what is refused -------------------------------------------------------------------


def test_published_data_is_found_as_it_is_packed(course, tmp_path, monkeypatch):
    from pictures import cifar_files, mnist_files

    from backlit.data import published

    with pytest.raises(MissingFileError, match=r"mnist: train-images.*pass download=True to fetch"):
        torchvision.datasets.MNIST(tmp_path)
    with pytest.raises(MissingFileError, match=r"cifar100: cifar-100-binary.tar.gz must lie in"):
        torchvision.datasets.CIFAR100(tmp_path)

    fetched = []

    def fetch(addresses, path, **options):
        fetched.append(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes((tmp_path / "from" / "MNIST" / "raw" / path.stem).read_bytes())

    mnist_files(tmp_path / "from")
    monkeypatch.setattr(published, "download", fetch)
    data = torchvision.datasets.MNIST(tmp_path, download=True)
    assert {path.parent for path in fetched} == {tmp_path / "MNIST" / "raw"}
    assert len(fetched) == 4
    again = torchvision.datasets.MNIST(tmp_path, download=True)
    assert len(fetched) == 4
    assert np.array_equal(data.data.numpy(), again.data.numpy())
    assert repr(data).splitlines()[:2] == ["Dataset MNIST", "    Number of datapoints: 40"]

    cifar_files(tmp_path / "python")
    of_pickles = torchvision.datasets.CIFAR10(tmp_path / "python", train=False)
    folder = tmp_path / "binary" / "cifar-10-batches-bin"
    folder.mkdir(parents=True)
    for name in [*(f"data_batch_{n}" for n in range(1, 6)), "test_batch"]:
        packed = tmp_path / "python" / "cifar-10-batches-py" / name
        entry = pickle.loads(packed.read_bytes())
        rows = np.concatenate([np.array(entry["labels"])[:, None], entry["data"]], axis=1)
        (folder / f"{name}.bin").write_bytes(rows.astype(np.uint8).tobytes())
    of_records = torchvision.datasets.CIFAR10(tmp_path / "binary", train=False)
    assert np.array_equal(of_pickles.data, of_records.data)
    assert of_pickles.targets == of_records.targets == list(range(8))


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"data": [1, 2], "labels": [1, 2]}, r"test_batch must hold images, uint8 \(N, 3072\)"),
        ([1, 2], "test_batch must hold a dictionary, got a list"),
        ({"data": Path("x")}, "holds an object of 'pathlib.PosixPath', which only code could"),
        ({"data": np.zeros((1, 3072), np.uint8), "labels": [10]}, "a label from 0 to 9 for each"),
    ],
)
def test_pickles_are_data_only(entry, message, tmp_path):
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    (folder / "test_batch").write_bytes(pickle.dumps(entry, protocol=2))
    with pytest.raises(DataError, match=message):
        torchvision.datasets.CIFAR10(tmp_path, train=False)


def test_classes_of_folders_may_be_found_otherwise(course, tmp_path):
    from pictures import folder_of_pictures

    folder_of_pictures(tmp_path, ("ants", "bees", "cats"), 2)

    class Insects(torchvision.datasets.ImageFolder):
        def find_classes(self, directory):
            return ["insect"], {"ants": 0, "bees": 0}

    data = Insects(tmp_path)
    assert (data.classes, data.targets) == (["insect"], [0] * 4)
    assert data.class_to_idx == {"ants": 0, "bees": 0}
    with pytest.raises(SpellingError, match=r"Mine.make_dataset: not in Backlit, which would not"):
        type("Mine", (torchvision.datasets.DatasetFolder,), {"make_dataset": None})


def test_random_pictures_are_those_of_their_index():
    data = torchvision.datasets.FakeData(4, (3, 5, 6), 7, random_offset=2)
    other = torchvision.datasets.FakeData(4, (3, 5, 6), 7, random_offset=3)
    assert np.array_equal(data[1][0], other[0][0])
    assert not np.array_equal(data[1][0], data[0][0])
    assert (data[1][0].size, data[1][0].mode, type(data[1][1])) == ((6, 5), "RGB", int)
    assert {data[i][1] for i in range(4)} <= set(range(7))


def test_networks_are_made_with_the_words_of_old_scripts():
    models = torchvision.models
    old = models.squeezenet1_1(False, num_classes=3)
    assert old.classifier[1].out_channels == 3
    assert type(models.get_model("SqueezeNet1_1", weights=None)) is models.SqueezeNet
    assert models.list_models(include="resnet*", exclude=["*1*"]) == ["resnet34", "resnet50"]
    for call, text in (
        (lambda: models.resnet18(True), r"resnet18: weights must be None.*got 'pretrained=True'"),
        (lambda: models.resnet18(weights="DEFAULT"), r"resnet18: weights must be None.*load a fil"),
        (lambda: models.vgg11(init_weights=False), r"vgg11: init_weights must be True, got False"),
        (lambda: models.get_model("resnet19"), r"get_model: name must be one of alexnet, dens"),
    ):
        with pytest.raises(ArgumentError, match=text):
            call()
    for use in (
        lambda: models.ResNet18_Weights.DEFAULT,
        lambda: models.ResNet18_Weights["DEFAULT"],
        lambda: models.ResNet18_Weights("DEFAULT"),
        lambda: list(models.ResNet18_Weights),
    ):
        with pytest.raises(SpellingError, match=r"ResNet18_Weights.*no weights come; load a file"):
            use()


X = torch.zeros(2, 3, 4, 4)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: torchvision.utils.make_grid([]), "make_grid: a Tensor or a list of Tensors is n"),
        (lambda: torchvision.utils.make_grid([X, X[0]]), "make_grid: pictures must have one shape"),
        (lambda: torchvision.utils.make_grid(X[None]), "make_grid: pictures are (N, C, H, W), got"),
        (
            lambda: torchvision.utils.make_grid(X.long(), normalize=True),
            "make_grid: normalize needs floats, got int64[2,3,4,4]",
        ),
        (
            lambda: torchvision.utils.make_grid(X, normalize=True, value_range=[0, 1]),
            "make_grid: value_range must be a tuple (least, most), got [0, 1]",
        ),
        (
            lambda: torchvision.utils.draw_bounding_boxes(X, torch.zeros(1, 4)),
            "draw_bounding_boxes: one picture (C, H, W) is needed, C 1 or 3, of bytes or floats",
        ),
        (
            lambda: torchvision.utils.draw_bounding_boxes(X[0], torch.tensor([[2.0, 0, 1, 1]])),
            "boxes must be (N, 4), with x1 <= x2 and y1 <= y2, got float32[1,4]",
        ),
        (
            lambda: torchvision.utils.draw_bounding_boxes(X[0], torch.zeros(1, 4), ["a", "b"]),
            "there must be a label for each of 1 boxes, got 2",
        ),
        (
            lambda: torchvision.utils.draw_bounding_boxes(X[0], torch.zeros(2, 4), colors=["red"]),
            "there must be a colour for each of 2, got 1",
        ),
        (
            lambda: torchvision.utils.draw_segmentation_masks(X[0], torch.zeros(4, 5)),
            "masks must be bool (N, 4, 4), got float32[1,4,5]",
        ),
        (
            lambda: torchvision.ops.generalized_box_iou_loss(X, X, reduction="max"),
            "generalized_box_iou_loss: reduction must be one of none, mean, sum, got 'max'",
        ),
        (
            lambda: torchvision.ops.sigmoid_focal_loss(X, X, alpha=2),
            "sigmoid_focal_loss: alpha must lie in [0, 1], or be -1, got 2",
        ),
        (lambda: torchvision.io.encode_png(X[0]), "uint8 (1 or 3, H, W) is needed, got float32[3"),
        (lambda: torchvision.io.decode_image(X), "decode_image: uint8 (N,) is needed, got float32"),
        (
            lambda: torchvision.io.read_image("x.png", "CMYK"),
            "mode must be one of UNCHANGED, GRAY, GRAY_ALPHA, RGB, RGB_ALPHA, got 'CMYK'",
        ),
        (
            lambda: torchvision.transforms.v2.ToDtype({"image": torch.float32}),
            "ToDtype: dtype must be one dtype, as there are no classes of Tensors to tell apart",
        ),
        (
            lambda: torchvision.set_image_backend("accimage"),
            "set_image_backend: backend must be 'PIL', got 'accimage'",
        ),
        (
            lambda: torchvision.datasets.VisionDataset("x", transforms=max, transform=min),
            "VisionDataset: either transforms, or transform and target_transform may be given",
        ),
    ],
)
def test_what_is_wrong_is_said(call, message):
    with pytest.raises(ArgumentError, match=re.escape(message)):
        call()
