"""フィルターは何に反応するか：3.2節の「ある特定の方向に
反応するフィルタ」を、規則性の数値と画像で確かめます。

To what do the filters answer? Section 3.2's filters before and after training: how regular they are,
where in an image they answer, and what excites them most.
"""

from explore import models
from support import command_line, ending


def main(argv=None):
    default = models.newest("Conv2D")
    args = command_line.parse(__file__, __doc__, argv, model=default, data=None, sort=False)
    import numpy as np

    from explore import regularity, responses
    from support.figures import drawing
    from utils import combine_images
    from visualize_weights import weight_images

    asked = models.load(args.model)
    shown = {"before training": asked.untrained, "after training": asked.model}
    shown = {when: responses.with_kernels_first(model, args.model) for when, model in shown.items() if model}
    # 並びはネットワークの順か、規則的な順 (in the network's order, or the most regular first)
    order = regularity.order(shown, args.sort)
    tiles = {
        f"{when}\nregularity {regularity.regularity(model.get_weights()[0]).mean():z.2f}": combine_images(
            np.array(weight_images(model))[order]
        )
        for when, model in shown.items()
    }
    title = f"The filters of the first convolution; trained on {asked.trained_on}"
    title += "\nsorted: the most regular after training first" * args.sort
    shape = shown["after training"].get_weights()[0].shape
    drawing.plot_tiles(tiles, shape, title, args.out / "filters.png")
    tests = models.test_images(asked, args) if args.data or asked.run else None
    regularity.report(shown, tests)
    responses.plot(shown, order, tests, args.out)


if __name__ == "__main__":
    ending.run(main)
