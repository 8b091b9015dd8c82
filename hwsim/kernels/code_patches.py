"""The patches of an image of codes (im2col), whatever the codes stand for; the datapaths take them as rows."""

from hwsim.kernels import kernel


@kernel
def gather_code_patches(image, y, window, channel, padding, patches):
    """The patches under row `y` of the output; outside the image they hold the code `padding`.

    image : uint8 or int8 (height, width, channels); channel : the first to take
    patches : same dtype, (out_width, filter_height * filter_width * group_channels), written
    """
    height, width, _ = image.shape
    depth = patches.shape[1] // (window.filter_height * window.filter_width)
    top = y * window.stride_height - window.pad_top
    for x in range(patches.shape[0]):
        left = x * window.stride_width - window.pad_left
        start = 0
        for ky in range(window.filter_height):
            row = top + ky * window.dilation_height
            for kx in range(window.filter_width):
                column = left + kx * window.dilation_width
                if 0 <= row < height and 0 <= column < width:
                    patches[x, start : start + depth] = image[row, column, channel : channel + depth]
                else:
                    patches[x, start : start + depth] = padding
                start += depth


@kernel
def code_patches(images, window, padding, out):
    """All patches of a batch.

    images : uint8 or int8 (batch, height, width, channels); out : (batch, out_height, out_width, taps * channels)
    """
    for n in range(out.shape[0]):
        for y in range(out.shape[1]):
            gather_code_patches(images[n], y, window, 0, padding, out[n, y])
