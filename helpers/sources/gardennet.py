"""The architectures of the course's own source models: a small ResNet and a small Vision Transformer for 64 px images."""

from torch import nn
from torchvision.models import VisionTransformer
from torchvision.models.resnet import BasicBlock
from torchvision.models.vision_transformer import ConvStemConfig

STEM = [ConvStemConfig(width, 3, 2) for width in (16, 32, 64, 96)]  # Xiao et al., Early convolutions ..., 2021


class GardenNet(nn.Module):
    """A ResNet with one BasicBlock a stage at half the usual width: about 1.2 million parameters.

    Its stages carry torchvision's ResNet names (conv1, bn1, relu, maxpool, layer1 .. layer4, avgpool, fc), so that
    everything said of it holds word for word for resnet18.

    Takes images (N, 3, H, W), normalised, H and W at least 32; gives logits (N, num_classes).
    Source: He et al., Deep residual learning for image recognition, 2016 (the block is torchvision's).
    """

    def __init__(self, num_classes: int = 1000, width: int = 32):
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, kernel_size=5, stride=2, padding=2, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)
        self.layer1 = nn.Sequential(BasicBlock(width, width))
        self.layer2 = _halving_stage(width, 2 * width)
        self.layer3 = _halving_stage(2 * width, 4 * width)
        self.layer4 = _halving_stage(4 * width, 8 * width)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(8 * width, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images):
        x = self.maxpool(self.relu(self.bn1(self.conv1(images))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(self.avgpool(x).flatten(1))


def _halving_stage(inputs: int, outputs: int) -> nn.Sequential:
    """A stage that halves height and width and changes the number of channels."""
    shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride=2, bias=False), nn.BatchNorm2d(outputs))
    return nn.Sequential(BasicBlock(inputs, outputs, stride=2, downsample=shortcut))


class GardenViT(VisionTransformer):
    """torchvision's VisionTransformer for 64 px: 16 tokens from four convolutions, 5 blocks, 128 wide, 1.2 million
    parameters with 1000 classes.

    Its parts carry torchvision's names (conv_proj, encoder.layers.encoder_layer_0 .. 4, encoder.ln, heads.head), so
    that what is said of it holds for vit_b_16 too.

    Takes normalised images (N, 3, 64, 64), gives logits (N, num_classes). Source: Dosovitskiy et al., An image is worth
    16x16 words, 2021.
    """

    def __init__(self, num_classes: int = 1000):
        super().__init__(
            image_size=64, patch_size=16, num_layers=5, num_heads=4, hidden_dim=128, mlp_dim=512, num_classes=num_classes,
            conv_stem_configs=STEM,
        )  # fmt: skip
