"""What torchvision has and Backlit has not, and what to do instead."""

from __future__ import annotations

from .missing import names_of

_OTHER_SETS = (
    "fetch its files yourself and read them with datasets.ImageFolder, backlit.data.Table or "
    "backlit.data.read_array"
)
_VIDEO = "there are no videos; read pictures of frames with datasets.ImageFolder"
_ONE_IMAGE = "transforms take one image; transform boxes and masks by your own code"
_OTHER_NETWORKS = (
    "use resnet50, densenet121, mobilenet_v2 or vit_b_16, or write it with nn: "
    "models.list_models() has the names"
)
_NO_WEIGHTS = (
    "no weights come with it; load a file: backlit.models.load_weights(model, 'weights.pth')"
)
_LARGER = "use backlit.models.TinyYOLO, or write it with nn"
_REGIONS = "use roi_align, which interpolates"
_IOU = "use generalized_box_iou, which has a slope where boxes do not overlap, too"
_PLAIN_TENSORS = "an image is a plain Tensor; leave it out"


def _all(room: str, names: str, cure: str) -> dict[str, str]:
    return names_of(f"torchvision.{room}", names, cure)


#: By torchvision's full name; what stands at a module is true of all that is in it.
MISSING_VISION = {
    **_all(
        "datasets",
        "LSUN LSUNClass CocoCaptions CocoDetection EMNIST QMNIST KMNIST StanfordCars STL10 SUN397 "
        "SVHN PhotoTour SEMEION Omniglot SBU Flickr8k Flickr30k Flowers102 VOCSegmentation "
        "VOCDetection Cityscapes ImageNet Caltech101 Caltech256 CelebA WIDERFace SBDataset USPS "
        "Places365 Kitti INaturalist LFWPeople LFWPairs KittiFlow Sintel FlyingChairs "
        "FlyingThings3D HD1K Food101 DTD FER2013 GTSRB CLEVRClassification OxfordIIITPet PCAM "
        "Country211 FGVCAircraft EuroSAT RenderedSST2 Kitti2012Stereo Kitti2015Stereo CarlaStereo "
        "Middlebury2014Stereo CREStereo FallingThingsStereo SceneFlowStereo SintelStereo "
        "InStereo2k ETH3DStereo Imagenette",
        _OTHER_SETS,
    ),
    **_all("datasets", "MovingMNIST Kinetics HMDB51 UCF101 samplers video_utils", _VIDEO),
    "torchvision.datasets.utils": "backlit.data.download(url, path, sha256=...) fetches a file",
    "torchvision.datasets.folder.make_dataset": "datasets.DatasetFolder(...).samples lists files",
    "torchvision.datasets.folder.find_classes": "datasets.ImageFolder(...).classes lists them",
    "torchvision.datasets.wrap_dataset_for_transforms_v2": _ONE_IMAGE,
    **_all(
        "models",
        "ConvNeXt EfficientNet Inception3 InceptionOutputs MNASNet MaxVit MobileNetV3 RegNet "
        "ShuffleNetV2 SwinTransformer convnext convnext_base convnext_large convnext_small "
        "convnext_tiny efficientnet efficientnet_b0 efficientnet_b1 efficientnet_b2 "
        "efficientnet_b3 efficientnet_b4 efficientnet_b5 efficientnet_b6 efficientnet_b7 "
        "efficientnet_v2_l efficientnet_v2_m efficientnet_v2_s inception inception_v3 maxvit "
        "maxvit_t mnasnet mnasnet0_5 mnasnet0_75 mnasnet1_0 mnasnet1_3 mobilenetv3 "
        "mobilenet_v3_large mobilenet_v3_small regnet regnet_x_16gf regnet_x_1_6gf regnet_x_32gf "
        "regnet_x_3_2gf regnet_x_400mf regnet_x_800mf regnet_x_8gf regnet_y_128gf regnet_y_16gf "
        "regnet_y_1_6gf regnet_y_32gf regnet_y_3_2gf regnet_y_400mf regnet_y_800mf regnet_y_8gf "
        "resnext101_32x8d resnext101_64x4d shufflenet_v2_x0_5 shufflenet_v2_x1_0 "
        "shufflenet_v2_x1_5 shufflenet_v2_x2_0 shufflenetv2 swin_b swin_s swin_t "
        "swin_transformer swin_v2_b swin_v2_s swin_v2_t wide_resnet101_2",
        _OTHER_NETWORKS,
    ),
    **_all("models", "Weights WeightsEnum get_model_weights get_weight", _NO_WEIGHTS),
    **_all("models", "detection", _LARGER),
    "torchvision.models.segmentation": "use backlit.models.UNet, or write it with nn",
    "torchvision.models.quantization": "there are no quantised types; use the network itself",
    **_all("models", "video optical_flow", _VIDEO),
    "torchvision.transforms.LinearTransformation": (
        "use Lambda(lambda x: ((x.reshape(-1) - mean) @ matrix).reshape(x.shape))"
    ),
    **_all("ops", "distance_box_iou complete_box_iou", _IOU),
    **_all("ops", "distance_box_iou_loss complete_box_iou_loss", f"{_IOU}_loss"),
    **_all(
        "ops",
        "roi_pool RoIPool ps_roi_align PSRoIAlign ps_roi_pool PSRoIPool MultiScaleRoIAlign",
        _REGIONS,
    ),
    **_all(
        "ops",
        "deform_conv2d DeformConv2d FeaturePyramidNetwork Conv2dNormActivation "
        "Conv3dNormActivation SqueezeExcitation MLP Permute masks_to_boxes",
        "write it with nn: it is a few lines",
    ),
    **_all(
        "ops",
        "stochastic_depth StochasticDepth drop_block2d DropBlock2d drop_block3d DropBlock3d",
        "use nn.Dropout2d, or write it with torch.bernoulli",
    ),
    "torchvision.ops.FrozenBatchNorm2d": (
        "backlit.models.freeze(model, 'name') keeps a norm as it is"
    ),
    **_all("io", "decode_avif decode_heic decode_gif", "use PIL.Image.open"),
    **_all("io", "VideoReader read_video read_video_timestamps write_video", _VIDEO),
    **_all("utils", "draw_keypoints flow_to_image", "draw with PIL.ImageDraw, or matplotlib"),
    "torchvision.tv_tensors": _PLAIN_TENSORS,
    "torchvision.datapoints": _PLAIN_TENSORS,
}


def _second_version() -> dict[str, str]:
    """The second version's names of transforms: as the first one's, and more."""
    first = "torchvision.transforms."
    found = {
        name.replace(first, f"{first}v2."): cure
        for name, cure in MISSING_VISION.items()
        if name.startswith(first)
    }
    names = (
        "ClampBoundingBoxes ClampKeyPoints ConvertBoundingBoxFormat SanitizeBoundingBoxes "
        "SanitizeKeyPoints SetClampingMode RandomIoUCrop get_bounding_boxes get_keypoints "
        "check_type has_all has_any"
    )
    return {
        **found,
        **_all("transforms.v2", names, _ONE_IMAGE),
        **_all("transforms.v2", "UniformTemporalSubsample", _VIDEO),
        **_all("transforms.v2", "GaussianNoise", "use Lambda(lambda x: x + 0.1 * randn_like(x))"),
        **_all("transforms.v2", "RandomResize RandomShortestSize ScaleJitter RandomZoomOut",
               "use RandomResizedCrop"),
        **_all("transforms.v2", "RandomPhotometricDistort RandomChannelPermutation",
               "use ColorJitter"),
        **_all("transforms.v2", "JPEG", "use Lambda(f) with io.encode_jpeg and io.decode_jpeg"),
    }  # fmt: skip


MISSING_VISION |= _second_version()
