"""フィルターは何に反応するか：3.2節の「ある特定の方向に
反応するフィルタ」を、規則性の数値と画像で確かめます。
responses.pngに10個ずつ、続きはresponses_2.pngからです。

To what do the filters answer? Section 3.2's filters before and after training: how regular they are,
where in an image they answer, and what excites them most: ten filters in `responses.png`, the next
ten in `responses_2.png`, and so on.
"""

from explore import models
from support import command_line, ending


def main(argv=None):
    default = models.newest("Conv2D")
    args = command_line.parse(__file__, __doc__, argv, model=default, data=None, pixels=None, sort=False)
    import numpy as np

    from explore import regularity, responses
    from explore.convolution import Filters
    from support.figures import drawing
    from visualize_weights import weight_images

    asked = models.load(args.model, args.pixels)
    networks = {"before training": asked.untrained, "after training": asked.model}
    filters = {when: Filters(asked, model) for when, model in networks.items() if model}
    tests = models.test_images(asked, args)
    kernels = {when: each.kernels for when, each in filters.items()}
    values = {when: regularity.regularity(each) for when, each in kernels.items()}
    # 並びはネットワークの順か、規則的な順 (in the network's order, or the most regular first)
    after = values["after training"]
    order = np.argsort(-after, kind="stable") if args.sort else np.arange(len(after))
    tiles = {when: weight_images(each.convolution) for when, each in filters.items()}
    title = f"The filters of the first convolution, {asked.training}"
    title += "\nsorted: the most regular after training first" * args.sort
    above = {f"{when}\nregularity {values[when].mean():z.2f}": tiles[when] for when in tiles}
    drawing.plot_tiles(above, order, title, args.out / "filters.png")
    regularity.report(kernels, tests[0])
    responses.plot(filters, tiles["after training"], order, after, tests, asked.training, args.out)


if __name__ == "__main__":
    ending.run(main)
