"""Calls in torchvision's words, whose results are compared with its own by their digests."""

import io
import os

import numpy as np
from PIL import Image


def digest(value):
    """A number that depends on every element and its place, beside shape and dtype."""
    x = value.detach().numpy() if hasattr(value, "detach") else np.asarray(value)
    weights = np.cos(np.arange(x.size) * 1.7) + 1.1
    total = float(x.astype(np.float64).ravel() @ weights)
    return [list(x.shape), str(x.dtype), float(f"{total:.12g}")]


def cases(torchvision, torch, folder):
    """The results by name: exact but for rounding of floats."""
    from pictures import cifar_files, folder_of_pictures, mnist_files, patterns

    tensor = lambda x: torch.tensor(np.ascontiguousarray(x))  # noqa: E731
    numbers = np.random.RandomState(0)
    made = {}

    x = tensor(numbers.rand(10, 3, 9, 7).astype(np.float32) * 3 - 1)
    grey = tensor(numbers.rand(5, 1, 6, 6).astype(np.float32))
    bytes_ = tensor(numbers.randint(0, 256, (6, 3, 5, 8)).astype(np.uint8))
    grid = torchvision.utils.make_grid
    for name, options in {
        "plain": {},
        "rows": {"nrow": 3, "padding": 5, "pad_value": 1},
        "close": {"nrow": 4, "padding": 0},
    }.items():
        for kind, images in {"x": x, "grey": grey, "bytes": bytes_, "one": x[:1]}.items():
            made[f"grid {kind} {name}"] = grid(images, **options)
    made["grid normalize"] = grid(x, normalize=True)
    made["grid each"] = grid(x, normalize=True, scale_each=True)
    made["grid range"] = grid(x, normalize=True, value_range=(-0.5, 1))
    made["grid list"] = grid([x[0], x[1], x[2]], nrow=2)
    made["grid of one grey"] = grid(grey[0])
    file = io.BytesIO()
    torchvision.utils.save_image(x, file, format="png", normalize=True, nrow=4)
    made["save_image"] = np.array(Image.open(file))

    picture = tensor(numbers.randint(0, 256, (3, 60, 80)).astype(np.uint8))
    boxes = np.array([[5, 6, 40, 30], [20, 10, 70, 55], [1.7, 2.2, 10.9, 20.1]], np.float32)
    for name, options in {
        "plain": {},
        "colours": {"colors": ["red", "#00ff00", (1, 2, 3)], "width": 3},
        "filled": {"colors": "blue", "fill": True},
    }.items():
        draw = torchvision.utils.draw_bounding_boxes
        made[f"boxes {name}"] = draw(picture, tensor(boxes), **options)
        made[f"boxes grey {name}"] = draw(picture[:1], tensor(boxes), **options)
    masks = tensor(numbers.rand(3, 60, 80) > 0.7)
    for kind, image in {"bytes": picture, "floats": picture / 255}.items():
        paint = torchvision.utils.draw_segmentation_masks
        made[f"masks {kind}"] = paint(image, masks)
        made[f"mask {kind}"] = paint(image, masks[0], alpha=0.3, colors="green")

    ops = torchvision.ops
    corners = [numbers.rand(n, 4).astype(np.float32) * 50 for n in (20, 8)]
    a, b = (tensor(np.concatenate([c[:, :2], c[:, :2] + c[:, 2:]], 1)) for c in corners)
    scores, groups = tensor(numbers.rand(20).astype(np.float32)), tensor(numbers.randint(0, 3, 20))
    made["nms"] = ops.nms(a, scores, 0.3)
    made["batched_nms"] = ops.batched_nms(a, scores, groups, 0.3)
    made["remove_small_boxes"] = ops.remove_small_boxes(a, 20)
    made["remove_small_boxes at the limit"] = ops.remove_small_boxes(tensor(boxes), 24)
    made["clip"] = ops.clip_boxes_to_image(a, (30, 40))
    made["loss"] = ops.generalized_box_iou_loss(a[:8], b, reduction="sum")
    logits, truths = tensor(numbers.randn(4, 5)), tensor((numbers.rand(4, 5) > 0.5).astype(float))
    for reduction in ("none", "mean", "sum"):
        made[f"focal {reduction}"] = ops.sigmoid_focal_loss(logits, truths, reduction=reduction)
    made["focal unweighted"] = ops.sigmoid_focal_loss(logits, truths, alpha=-1, gamma=3)

    place = lambda name: os.path.join(folder, name)  # noqa: E731
    smooth = Image.fromarray(patterns(1, 1, 33, 3)[0][0])
    noted = Image.Exif()
    noted[274] = 6  # the camera was turned
    smooth.save(place("rgb.png"))
    smooth.convert("L").save(place("grey.png"))
    smooth.convert("RGBA").save(place("alpha.png"))
    smooth.convert("P").save(place("palette.png"))
    smooth.convert("1").save(place("bits.png"))
    smooth.save(place("turned.jpg"), exif=noted)
    smooth.convert("CMYK").save(place("inks.jpg"))
    Image.fromarray(numbers.randint(0, 65536, (9, 11)).astype(np.uint16)).save(place("wide.png"))
    mode = torchvision.io.ImageReadMode
    for name in ("rgb", "grey", "alpha", "palette", "bits", "wide"):
        made[f"read {name}"] = torchvision.io.read_image(place(f"{name}.png"))
        made[f"read {name} RGB"] = torchvision.io.read_image(place(f"{name}.png"), mode.RGB)
    for name in ("turned", "inks"):
        made[f"read {name}"] = torchvision.io.read_image(place(f"{name}.jpg"))
        made[f"read {name} grey"] = torchvision.io.read_image(place(f"{name}.jpg"), mode.GRAY)
    made["read wide alpha"] = torchvision.io.read_image(place("wide.png"), mode.RGB_ALPHA)
    read = torchvision.io.read_file(place("turned.jpg"))
    made["decode"] = torchvision.io.decode_image(read, apply_exif_orientation=True)
    torchvision.io.write_png(picture, place("out.png"))
    made["write_png"] = torchvision.io.decode_png(torchvision.io.read_file(place("out.png")))

    mnist_files(folder)
    mnist_files(folder, "FashionMNIST")
    cifar_files(folder)
    transforms = torchvision.transforms
    steps = [transforms.Resize(20), transforms.ToTensor(), transforms.Normalize((0.5,), (0.5,))]
    for name in ("MNIST", "FashionMNIST", "CIFAR10"):
        for train in (True, False):
            data = getattr(torchvision.datasets, name)(folder, train)
            image, target = data[-2]
            found = {"data": data.data, "targets": data.targets, "item": image, "target": target}
            made |= {f"{name} {train} {key}": np.asarray(value) for key, value in found.items()}
            whole = transforms.Compose(steps)
            data = getattr(torchvision.datasets, name)(folder, train, whole, lambda y: y + 1)
            made[f"{name} {train} transformed"], made[f"{name} {train} moved"] = data[3]
    folder_of_pictures(place("folder"), ("ants", "bees"), 2)
    smooth.convert("RGBA").save(place("folder/ants/z.png"))
    smooth.save(place("folder/bees/turned.jpg"), exif=noted)
    data = torchvision.datasets.ImageFolder(place("folder"))
    made["folder targets"] = data.targets
    made |= {f"folder {i}": np.asarray(data[i][0]) for i in range(len(data))}

    two = transforms.v2
    image = np.asarray(smooth)
    made["v2 array"] = two.ToImage()(image)
    made["v2 grey array"] = two.ToImage()(image[:, :, 0])
    made["v2 scaled"] = two.ToDtype(torch.float32, scale=True)(two.ToImage()(smooth))
    made["v2 as it is"] = two.ToDtype(torch.float32)(two.PILToTensor()(smooth))
    made["v2 RGB"] = two.Compose([two.ToImage(), two.RGB()])(smooth.convert("L"))
    made["v2 picture RGB"] = two.Compose([two.RGB(), two.Identity(), two.ToImage()])(
        smooth.convert("L")
    )
    return made
