"""How regular filters are: a number for what the article's section 3.2 finds by eye."""

import numpy as np


def kernels_of(model):
    """The kernels of a model or layer whose weights begin with them: `(height, width, channels, N)`."""
    return model.get_weights()[0]


def order(models, by_regularity):
    """In which order to show the filters: the network's, or the most regular first."""
    values = regularity(kernels_of(models["after training"]))
    return np.argsort(-values) if by_regularity else np.arange(len(values))


def regularity(kernels):
    """How alike neighbouring weights are: 1 where they are equal, 0 in noise, -1 where opposite.

    The article finds by eye that filters become regular; this is a number for it, the spatial
    autocorrelation at a distance of one: the products of all pairs of neighbours, side by side or
    one above the other, divided by the means of their squares.

    Args:
        kernels: `(height, width, channels, N)`.

    Returns:
        `(N,)` in -1..1; 0 for kernels that are 1 x 1 or all zero.
    """
    pairs = (kernels[1:], kernels[:-1]), (kernels[:, 1:], kernels[:, :-1])
    products = sum((one * other).sum(axis=(0, 1, 2)) for one, other in pairs)
    squares = sum((one**2 + other**2).sum(axis=(0, 1, 2)) / 2 for one, other in pairs)
    return np.divide(products, squares, out=np.zeros_like(products), where=squares > 0)


def eigenvectors(images, shape, count, patches=50_000):
    """The leading eigenvectors of the covariance of image patches, as kernels.

    They are what the images alone give, without labels or training.

    Args:
        images: `(N, H, W, channels)`, at least as large as the patches.
        shape: of the patches, (height, width, channels).
        count: of the eigenvectors.

    Returns:
        `(height, width, channels, count)`, or fewer where a patch has fewer values.
    """
    height, width, channels = shape
    rng = np.random.default_rng(0)
    windows = np.lib.stride_tricks.sliding_window_view(images, (height, width), axis=(1, 2))
    places = [rng.integers(size, size=patches) for size in windows.shape[:3]]
    found = windows[tuple(places)].reshape(patches, -1)  # in the order channel, row, column
    vectors = np.linalg.eigh(np.cov(found.T.astype("float64")))[1][:, ::-1][:, :count]
    return vectors.reshape(channels, height, width, -1).transpose(1, 2, 0, 3)


def report(models, tests):
    """Print how regular the filters are, beside two kinds of kernels that nobody has trained.

    Args:
        models: as `responses.plot` gets them.
        tests: images and labels of a test set, or None.
    """
    shape = kernels_of(models["after training"]).shape[:3]
    noise = regularity(np.random.default_rng(0).normal(size=(*shape, 10_000)))
    limit = np.quantile(noise, 0.99)
    print(f"regularity of random kernels: {noise.mean():z.2f} on average, 99 % below {limit:.2f}")
    reference = None
    if tests is not None:
        count = kernels_of(models["after training"]).shape[3]
        values = regularity(eigenvectors(tests[0], shape, count))
        reference = values.mean()
        print(
            f"regularity of the {len(values)} leading eigenvectors of the images' patches: "
            f"{reference:z.2f} on average"
        )
    for when, model in models.items():
        values = regularity(kernels_of(model))
        print(
            f"regularity {when}: {values.mean():z.2f} on average, {values.min():z.2f} to "
            f"{values.max():.2f}; {(values > limit).sum()} of {len(values)} above {limit:.2f}"
            + (f"; {values.mean() / reference:z.0%} of the eigenvectors'" if reference else "")
        )
