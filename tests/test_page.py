"""The page for the browser: its arithmetic against Keras', and what one sees when one points at a value."""

import base64
import json
import shutil

import keras
import numpy as np
import pytest
from conftest import ROOT, run_of
from PIL import Image
from test_explore import reader_s_own

import cnn
import cnn_with_gap
from beyond import cnn as beyond_cnn
from beyond import cnn_with_gap as beyond_gap
from explore import confidence, models, page
from support.data import folder, images
from support.ending import ScriptError
from support.run import state

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--disable-background-networking"]


def in_browser(test):
    """Skipped by name where there is no Chromium; one process has the browser."""
    reason = "no Chromium here: see CONTRIBUTING.md"
    return pytest.mark.xdist_group("browser")(pytest.mark.skipif(CHROMIUM is None, reason=reason)(test))


@pytest.fixture(scope="module")
def browser():
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)


COMPARED = "#agreement:not(:empty)"  # the page has compared itself with Keras


@pytest.fixture
def visit(browser):
    """Open a page from its file. It must ask no host for anything, and complain of nothing."""
    wrong, contexts = [], []

    def run(path, until="#classes label", **settings):
        # What a test evaluates is what the page's own policy forbids.
        defaults = {"viewport": {"width": 1280, "height": 800}, "bypass_csp": True}
        contexts.append(browser.new_context(**defaults | settings))
        opened = contexts[-1].new_page()
        opened.on("request", lambda request: request.url == path.as_uri() or wrong.append(request.url))
        opened.on("console", lambda message: wrong.append(message.text))
        opened.on("pageerror", lambda error: wrong.append(str(error)))
        opened.goto(path.as_uri())
        opened.locator(until).first.wait_for()
        return opened

    yield run
    for context in contexts:
        context.close()
    assert [url for url in wrong if not url.startswith("data:,")] == []


def random_model(build):
    """Nothing at its initial value: a bias of 0 would hide a mistake. Some values are below 0, no variance is."""
    keras.utils.set_random_seed(0)
    model, rng = build(), np.random.default_rng(0)
    noise = [rng.normal(0, 0.1, w.shape) for w in model.get_weights()]
    changes = [n if n.ndim > 1 else np.abs(n) for n in noise]
    model.set_weights([w + change for w, change in zip(model.get_weights(), changes, strict=True)])
    return model


def export(model, out, data):
    """The page of a model, and the model as the page has it: with rounded weights."""
    out.mkdir(exist_ok=True)
    model.save(out / "m.keras")
    page.main([str(out / "m.keras"), "--data", data, "--out", str(out), "--pixels", "0..1"])
    model.set_weights([w.astype("float16").astype("float32") for w in model.get_weights()])
    return out / "page.html"


def data_of(path):
    text = path.read_text(encoding="utf-8")
    return json.loads(text.split('<script type="application/json" id="data">')[1].split("</script>")[0])


def image_of(path, n):
    pixels = base64.b64decode(data_of(path)["images"][n])
    return np.frombuffer(pixels, "uint8").reshape(1, 32, 32, 3).astype("float32") / 255


@pytest.fixture(scope="module")
def pages(tmp_path_factory, small):
    """The page of a model of ours with random weights, and the model."""
    made = {}

    def get(build):
        if build not in made:
            model = random_model(build)
            made[build] = export(model, tmp_path_factory.mktemp("page"), small), model
        return made[build]

    return get


def point_at(opened, layer, feature_map, row, column):
    """Click the value, in the picture of its feature map."""
    picture = opened.locator(f'#layer{layer} [data-map="{feature_map}"]')
    height, width = (picture.evaluate(f"image => image.natural{side}") for side in ("Height", "Width"))
    box = picture.bounding_box()
    position = {"x": (column + 0.5) * box["width"] / width, "y": (row + 0.5) * box["height"] / height}
    picture.click(position=position)


def shown_value(opened, words):
    """The number beside the words."""
    text = opened.locator(f"#work tr:has(> th:has-text('{words}')) > td").first.inner_text()
    return float(text.replace("−", "-"))


def without_dense():
    """As in the paper of global average pooling: a map for each class."""
    layers = [keras.layers.Conv2D(9, 5, activation="relu"), keras.layers.Conv2D(10, 3, padding="same")]
    last = [keras.layers.GlobalAveragePooling2D(), keras.layers.Activation("softmax")]
    return keras.Sequential([keras.Input((32, 32, 3)), *layers, *last])


GAP = [cnn_with_gap.build_model, beyond_gap.build_model, without_dense]


@pytest.mark.parametrize("build", [cnn.build_model, beyond_cnn.build_model, reader_s_own, *GAP])
@in_browser
def test_every_value_and_the_confidence_map_is_what_keras_says(pages, visit, build):
    path, model = pages(build)
    opened = visit(path, COMPARED)
    count = len(data_of(path)["images"])
    assert f"agrees with Keras (probabilities of {count} images within" in opened.inner_text("#agreement")
    layers = [layer for layer in model.layers if not isinstance(layer, keras.layers.InputLayer)]
    expected = keras.Model(model.inputs, [[layer.output] for layer in layers]).predict(
        image_of(path, 0), verbose=0
    )
    values = opened.evaluate("outputs.map(({values}) => [...values])")
    assert len(values) == len(layers) + 1
    assert np.abs(np.array(values[0]) - image_of(path, 0).ravel()).max() <= 1e-6
    for layer, [keras_says], ours in zip(layers, expected, values[1:], strict=True):
        difference = np.abs(keras_says.ravel() - np.array(ours)).max()
        assert difference <= 1e-4 * max(1, np.abs(keras_says).max()), layer.name
    assert opened.locator(".layer").count() == len(layers)  # the last stands above the bars
    assert f"(None, {', '.join(map(str, layers[0].output.shape[1:]))})" in opened.inner_text("#layers")
    if build not in GAP:
        return
    opened.locator("#classes label").nth(3).click()
    assert opened.locator("#work img").count() == 1
    head = confidence.head_of(model, path)
    expected, _ = confidence.confidence_maps(model, head, image_of(path, 0), np.array([3]))
    got = np.array(opened.evaluate("confidenceMap()"))
    assert expected.max() > 0
    assert got == pytest.approx(expected.ravel(), rel=1e-4, abs=1e-4 * float(expected.max()))


@in_browser
def test_a_page_whose_numbers_are_not_keras_says_so(pages, visit, tmp_path):
    data = data_of(pages(cnn.build_model)[0])
    data["probabilities"][3][0] += 0.01
    text = (ROOT / "explore/page.html").read_text(encoding="utf-8").replace("@DATA@", json.dumps(data))
    (tmp_path / "page.html").write_text(text, encoding="utf-8")
    opened = visit(tmp_path / "page.html", COMPARED, locale="ja-JP")
    assert opened.inner_text("#agreement .bad") == "Kerasと一致しない：差は最大1e-2"


@in_browser
def test_the_page_reaches_no_host_even_if_it_wants_to(pages, browser, tmp_path):
    text = pages(cnn_with_gap.build_model)[0].read_text(encoding="utf-8")
    text = text.replace("check();", 'fetch("http://127.0.0.1:9/").catch(() => {}); check();', 2)
    (tmp_path / "page.html").write_text(text, encoding="utf-8")
    opened, said = browser.new_page(), []
    opened.on("console", lambda message: said.append(message.text))
    opened.goto((tmp_path / "page.html").as_uri())
    opened.locator(COMPARED).wait_for()
    opened.close()
    assert said
    assert all("Content Security Policy" in text for text in said)


# The least that lies between the numbers of two neighbours, in pixels.
SPACE = """() => {
  const ends = (cell) => {
    const range = document.createRange(); range.selectNodeContents(cell);
    return range.getBoundingClientRect();
  };
  return Math.min(...[...document.querySelectorAll("#work .grid td + td")].map((cell) =>
    ends(cell).left - ends(cell.previousElementSibling).right));
}"""
# The least contrast of a number with its ground, of all shades.
CONTRAST = """() => {
  const light = (color) => color.match(/[0-9.]+/g).slice(0, 3).map((part) => part / 255).map((part) =>
    part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4)
    .reduce((all, part, k) => all + part * [0.2126, 0.7152, 0.0722][k], 0);
  const holder = document.createElement("div");
  document.body.append(holder);
  holder.innerHTML = grid({height: 9, width: 21}, "", (k) => ["1", shade(k - 94, 94)]);
  const ratios = [...holder.querySelectorAll("td")].map((cell) => {
    const {color, backgroundColor} = getComputedStyle(cell);
    const [a, b] = [light(color), light(backgroundColor)];
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  });
  holder.remove();
  return Math.min(...ratios);
}"""


@in_browser
def test_the_products_of_a_value_of_a_feature_map(pages, visit):
    path, model = pages(cnn.build_model)
    opened = visit(path)
    kernel, bias = (np.asarray(w, "float64") for w in model.layers[1].get_weights())
    image = image_of(path, 0)[0].astype("float64")
    point_at(opened, 1, 7, 10, 12)
    for row, column in ((10, 12), (11, 12), (11, 13)):
        window, weights = image[row : row + 5, column : column + 5], kernel[..., 7]
        grids = opened.locator("#work .grid")
        assert grids.count() == 9
        shown = [
            [float(text.replace("−", "-")) for text in grids.nth(n).locator("td").all_inner_texts()]
            for n in range(9)
        ]
        for color in range(3):
            for grid, numbers in zip(
                shown[3 * color : 3 * color + 3], (window, weights, window * weights), strict=True
            ):
                assert np.abs(np.array(grid) - numbers[..., color].ravel()).max() <= 5.1e-4
        total = (window * weights).sum()
        assert shown_value(opened, "sum of 75 products") == pytest.approx(total, abs=5.1e-5)
        assert shown_value(opened, "= total") == pytest.approx(total + bias[7], abs=5.1e-5)
        assert shown_value(opened, "ReLU") == pytest.approx(max(total + bias[7], 0), abs=5.1e-5)
        # Two arrow keys lead to the other two; the window is framed in the image.
        frame, picture = (opened.locator(f"#layer0 {what}").bounding_box() for what in (".frame", "img"))
        assert frame["x"] == pytest.approx(picture["x"] + column * picture["width"] / 32, abs=1)
        assert frame["height"] == pytest.approx(5 * picture["height"] / 32, abs=1)
        opened.keyboard.press("ArrowDown" if row == 10 else "ArrowRight")
    ranges = opened.locator("#where label small").all_inner_texts()
    assert ranges == ["0–29", "0–27", "0–27"]  # said where one types: row 10 is the eleventh
    opened.fill("#map", "29")
    opened.keyboard.press("Enter")
    assert opened.evaluate("at") == {"layer": 1, "map": 29, "row": 11, "column": 14}
    # Neighbouring numbers do not touch, and are told from their ground (WCAG: 4.5 to 1).
    assert opened.evaluate(SPACE) >= 4
    for scheme in ("light", "dark"):
        opened.emulate_media(color_scheme=scheme)
        assert opened.evaluate(CONTRAST) >= 4.5


@in_browser
def test_padding_and_strides_and_many_channels(pages, visit):
    path, model = pages(reader_s_own)
    opened = visit(path)
    kernel, bias = model.layers[0].get_weights()
    point_at(opened, 1, 2, 0, 31)  # at the right edge: the two columns beyond it are padding
    window = np.pad(image_of(path, 0)[0], ((0, 1), (2, 2), (0, 0)))[0:3, 31:36]
    assert shown_value(opened, "sum of 45 products") == pytest.approx(
        (window * kernel[..., 2]).sum(), abs=1e-4
    )
    point_at(opened, 3, 5, 2, 3)
    assert opened.locator("#work .grid").count() == 9  # three of four channels
    x = keras.Model(model.inputs, model.layers[1].output).predict(image_of(path, 0), verbose=0)[0]
    products = x[2:5, 3:6] * model.layers[2].get_weights()[0][..., 5]
    assert shown_value(opened, "sum of 36 products") == pytest.approx(products.sum(), abs=1e-3)
    assert shown_value(opened, "all others") == pytest.approx(
        min(products.sum(axis=(0, 1)), key=abs), abs=1e-3
    )


@in_browser
def test_which_of_four_values_the_pooling_kept(pages, visit):
    path, model = pages(cnn.build_model)
    opened = visit(path)
    point_at(opened, 2, 4, 6, 9)
    maps_ = keras.Model(model.inputs, model.layers[1].output).predict(image_of(path, 0), verbose=0)[0]
    four = maps_[12:14, 18:20, 4].ravel()
    cells = opened.locator("#work .big td")
    shown = [text.split(maxsplit=1) for text in cells.all_inner_texts()]
    assert np.abs(np.array([float(number) for number, _ in shown]) - four).max() <= 5.1e-5
    assert [place for _, place in shown] == ["(12, 18)", "(12, 19)", "(13, 18)", "(13, 19)"]
    assert [n for n in range(4) if cells.nth(n).get_attribute("class") == "kept"] == [four.argmax()]
    cells.nth(3).click()  # leads to how it was computed
    assert opened.evaluate("at") == {"layer": 1, "map": 4, "row": 13, "column": 19}
    forward = opened.locator("#ahead button")  # and a button leads back to what the pooling made of it
    assert forward.inner_text() == "→ MaxPooling2D map 4, row 6, column 9"
    forward.click()
    assert opened.evaluate("at") == {"layer": 2, "map": 4, "row": 6, "column": 9}
    # The arrow keys go on from the large map below, whichever layer it shows.
    opened.keyboard.press("ArrowDown")
    opened.keyboard.press("ArrowRight")
    assert opened.evaluate("at") == {"layer": 2, "map": 4, "row": 7, "column": 10}
    opened.locator("#output img").click(position={"x": 3, "y": 3})
    opened.keyboard.press("ArrowDown")
    assert opened.evaluate("at") == {"layer": 2, "map": 4, "row": 1, "column": 0}
    opened.locator("#window img").click(position={"x": 3, "y": 3})
    opened.keyboard.press("ArrowRight")
    assert opened.evaluate("at") == {"layer": 1, "map": 4, "row": 0, "column": 1}
    assert "PageUp/Down: map" in opened.inner_text("#hint")
    # Where all are equal none is the one that was kept.
    groups = maps_.reshape(14, 2, 14, 2, -1).transpose(0, 2, 4, 1, 3).reshape(14, 14, -1, 4)
    row, column, feature_map = np.argwhere(np.ptp(groups, axis=-1) == 0)[0].tolist()
    opened.evaluate(f"point({{layer: 2, map: {feature_map}, row: {row}, column: {column}}})")
    assert "all are equal" in opened.inner_text("#work")
    assert opened.locator("#work .kept").count() == 0


@in_browser
def test_what_speaks_most_for_a_class_and_against_it(pages, visit):
    path, model = pages(cnn.build_model)
    opened = visit(path)
    opened.locator("#classes label").nth(8).click()
    hidden = keras.Model(model.inputs, model.layers[-2].output).predict(image_of(path, 0), verbose=0)[0]
    products = hidden * model.layers[-1].get_weights()[0][:, 8]
    opened.keyboard.press("ArrowUp")  # the keys of the bars
    opened.keyboard.press("ArrowDown")
    assert opened.evaluate("at.map") == 8
    assert opened.inner_text("#hint") == "click, arrow keys"  # there is no map to leaf to
    buttons = opened.locator("#work button").all_inner_texts()
    order = products.argsort()
    positive, negative = order[::-1][: min(10, (products > 0).sum())], order[: min(10, (products < 0).sum())]
    assert buttons == [f"Dense no. {n}" for n in (*positive, *negative)]
    for sign, caption in zip((1, -1), opened.locator("#work small").all_inner_texts(), strict=True):
        count = int((sign * products > 0).sum())
        assert caption.endswith(f": the ten largest of {count}" if count > 10 else f": only {count}")
    totals = hidden @ model.layers[-1].get_weights()[0] + model.layers[-1].get_weights()[1]
    ratio = opened.locator("#work tr:has(> th:has-text('e^total')) > td").first.inner_text()
    powers = np.exp(totals.astype("float64"))
    assert [float(part) for part in ratio.split(" ÷ ")] == pytest.approx([powers[8], powers.sum()], rel=1e-4)
    assert shown_value(opened, "softmax") == pytest.approx(powers[8] / powers.sum(), abs=5.1e-5)
    opened.locator("#work button").first.click()
    assert opened.evaluate("at.layer") == 4
    assert opened.locator("#trail button").all_inner_texts() == [data_of(path)["classes"][8]]
    # Its inputs are named by their place in the pooled maps, and lead there.
    opened.locator("#work button").first.click()
    place = opened.evaluate("at")
    assert place["layer"] == 2
    way = opened.locator("#trail button")  # and the way back stands at the beginning
    assert way.count() == 2
    way.nth(1).click()
    assert opened.evaluate("at") == {"layer": 4, "map": int(positive[0]), "row": 0, "column": 0}
    assert way.count() == 1
    x = keras.Model(model.inputs, model.layers[2].output).predict(image_of(path, 0), verbose=0)[0]
    weights = model.layers[4].get_weights()[0][:, positive[0]].reshape(x.shape)
    assert (place["row"], place["column"], place["map"]) == np.unravel_index((x * weights).argmax(), x.shape)
    # Where there are fewer than ten it says so.
    opened.evaluate("outputs[4].values.fill(0, 9); point({layer: 5, map: 8})")
    captions = opened.locator("#work small").all_inner_texts()
    counts = [int((sign * products[:9] > 0).sum()) for sign in (1, -1)]
    assert [caption.split(": ")[1] for caption in captions] == [f"only {count}" for count in counts]


def photo(path, size, **options):
    """Smooth, with noise and an edge, as a photograph is."""
    rng = np.random.default_rng(5)
    image = Image.fromarray(rng.integers(0, 256, (9, 12, 3), "uint8")).resize(size, Image.Resampling.BICUBIC)
    pixels = np.asarray(image) + rng.normal(0, 12, (size[1], size[0], 3))
    pixels[size[1] // 3 : size[1] // 2] = 240, 220, 20
    Image.fromarray(pixels.clip(0, 255).astype("uint8")).save(path, **options)
    return path


DROP = """text => {
  const file = new File([Uint8Array.from(atob(text), c => c.charCodeAt(0))], "photo", {type: "image/png"});
  const dataTransfer = new DataTransfer();
  dataTransfer.items.add(file);
  document.body.dispatchEvent(new DragEvent("drop", {dataTransfer, bubbles: true, cancelable: true}));
}"""


@in_browser
def test_a_photo_becomes_the_pixels_that_classify_makes_of_it(pages, visit, tmp_path):
    opened = visit(pages(cnn_with_gap.build_model)[0])
    assert opened.locator("[name=image]:checked").count() == 1
    wide = photo(tmp_path / "wide.png", (403, 300))
    exif = Image.Exif()
    exif[0x0112] = 6  # lies on its side
    turned = photo(tmp_path / "turned.png", (200, 311), exif=exif)
    tiny = photo(tmp_path / "tiny.png", (20, 20))
    clear = tmp_path / "clear.png"
    with Image.open(wide) as image:
        image.putalpha(Image.linear_gradient("L").resize(image.size))
        image.save(clear)
    for path in (wide, turned, tiny, clear):
        if path == turned:
            opened.evaluate(DROP, base64.b64encode(path.read_bytes()).decode())
        else:
            opened.set_input_files("#photo", path)
        expected = folder.read_image(path).ravel().astype(int)
        opened.wait_for_function(
            "first => shown.label === undefined && shown.pixels[0] === first", arg=int(expected[0])
        )
        got = np.array(opened.evaluate("[...shown.pixels]"))
        assert np.abs(got - expected).max() <= 1
        assert opened.locator("#classes b").all_inner_texts() == [""] * 10  # no true class
        assert opened.locator("[name=image]:checked").count() == 0
    (tmp_path / "text.jpg").write_text("no image")
    said = []
    opened.on("dialog", lambda dialog: (said.append(dialog.message), dialog.dismiss()))
    opened.set_input_files("#photo", tmp_path / "text.jpg")
    opened.wait_for_timeout(300)
    assert said == ["画像として読めません (not an image)"]


SAID = [  # in Japanese, in English
    ("Kerasと一致", "agrees with Keras"),
    ("窓の中の値", "window"),
    ("75個の積の和", "sum of 75 products"),
    ("◀ 正解", "◀ true class"),
    ("最も強い色：層の最大の値", "strongest colour: largest value of the layer"),
    ("丸める前{0:.2%}、後{1:.2%}", "{0:.2%} before rounding, {1:.2%} after"),
]
# What is left between the text of the button for a photo and its frame, on the narrower side.
MARGIN = """() => {
  const photo = document.querySelector(".photo"), range = document.createRange();
  range.selectNodeContents(photo);
  const [text, frame] = [range, photo].map((it) => it.getBoundingClientRect());
  return Math.min(text.left - frame.left, frame.right - text.right);
}"""
HIDDEN = "(($) => $.scrollWidth - $.clientWidth)(document.querySelector('#layers'))"


@in_browser
def test_both_languages_begin_with_the_browser_s_and_fit_the_screen(pages, visit):
    path, _ = pages(cnn.build_model)
    accuracy = data_of(path)["accuracy"]
    for locale, japanese, phone in (("ja-JP", True, False), ("de-DE", False, True)):
        size = {"width": 844, "height": 390} if phone else {"width": 1280, "height": 800}
        opened = visit(path, COMPARED, locale=locale, viewport=size, has_touch=phone)
        point_at(opened, 1, 7, 10, 12)
        for now_japanese in (japanese, not japanese):
            text = opened.inner_text("body")
            for words in SAID:
                ja, en = (part.format(*accuracy) for part in words)
                assert (ja in text, en in text) == (now_japanese, not now_japanese), (ja, en)
            assert opened.evaluate(MARGIN) >= 4
            assert opened.evaluate(HIDDEN) <= 0  # no layer of the article's network
            end, image = (opened.locator(f"#work {what}").bounding_box() for what in (".end", "#window"))
            if phone:  # the sum and the ReLU stand above the tables, and are seen without a scroll
                assert end["y"] + end["height"] <= min(390, image["y"])
            opened.click("#language")


@in_browser
def test_many_layers_fit_the_screen_and_need_only_the_keyboard(pages, visit):
    opened = visit(pages(beyond_gap.build_model)[0], color_scheme="dark")
    for width, height in ((1280, 800), (844, 390)):
        opened.set_viewport_size({"width": width, "height": height})
        assert opened.evaluate("document.documentElement.scrollWidth <= innerWidth")
        # Some layers are to be scrolled to: an arrow lies over the edge behind which they are.
        assert opened.evaluate(HIDDEN) > 100
        box = opened.locator("#layers").bounding_box()
        x, top, step = box["x"] + box["width"] - 4, box["y"], box["height"] / 9
        found = [opened.evaluate(f"document.elementFromPoint({x}, {top + step * k}).id") for k in range(1, 9)]
        assert found == ["layers"] * 8
    reached = set()
    for _ in range(60):
        opened.keyboard.press("Tab")
        reached.add(opened.evaluate("document.activeElement.name || document.activeElement.id"))
    assert {
        "language",
        "image",
        "photo",
        "layer0",
        "layer2",
        "class",
        "map",
        "row",
        "column",
        "output",
    } <= reached
    opened.locator("[name=image]").first.focus()
    opened.keyboard.press("ArrowRight")
    assert opened.evaluate("images.indexOf(shown)") == 1
    assert opened.evaluate("document.activeElement.value") == "1"
    opened.locator("#layer2").focus()
    opened.evaluate("point({layer: 2, map: 3, row: 5, column: 0})")
    for key in (
        "ArrowDown",
        "ArrowDown",
        "ArrowUp",
        "ArrowLeft",
        "ArrowRight",
        "PageDown",
        "PageUp",
        "PageUp",
    ):
        opened.keyboard.press(key)
    assert opened.evaluate("at") == {"layer": 2, "map": 2, "row": 6, "column": 1}
    vector = opened.evaluate("find('GlobalAveragePooling2D')")
    opened.locator(f"#layer{vector}").focus()
    for key in ("ArrowDown", "ArrowDown", "ArrowRight", "PageDown", "ArrowLeft"):  # four in a row of 24
        opened.keyboard.press(key)
    assert opened.evaluate("at.map") == 9


@in_browser
def test_before_and_after_training_and_names_as_they_are(visit, small, tmp_path, monkeypatch):
    names, values = ["a", "</script><b>猫", "c", "d"], []
    for name in ("initial", "model"):
        model = random_model(lambda: cnn.build_model(4))
        model.set_weights([w * (0.9 if name == "model" else 1) for w in model.get_weights()])
        model.save(tmp_path / f"{name}.keras")
        values.append(model)
    record = {"classes": names, "data": "D", "script": "cnn.py", "seed": 0, "layers": []}
    state.write(tmp_path / "model.keras", run_of(record, seconds=[1], source=small))
    monkeypatch.setattr(models, "test_images", lambda asked, args: images.load_tests(small, 0, 0)[0])
    page.main([str(tmp_path / "model.keras"), "--out", str(tmp_path)])
    path = tmp_path / "page.html"
    opened = visit(path)
    assert opened.title() == "trained by cnn.py on D, 1 epoch"
    assert [text.split()[0] for text in opened.locator("#classes .bar").all_inner_texts()] == names
    point_at(opened, 1, 7, 10, 12)
    expected = []
    for model in values:
        model.set_weights([w.astype("float16").astype("float32") for w in model.get_weights()])
        output = keras.Model(model.inputs, model.layers[1].output)
        expected.append(output.predict(image_of(path, 0), verbose=0)[0])
    assert "weights as colours, as in visualize_weights.py" in opened.inner_text("#work")
    captions = opened.locator("#work .pair small").all_inner_texts()
    assert captions == [
        f"{word} {maps_[10, 12, 7]:.4f}"
        for word, maps_ in zip(("untrained", "trained"), expected, strict=True)
    ]
    before = np.array(opened.evaluate("[...before.values]"))
    assert np.abs(before - expected[0].ravel()).max() <= 1e-5
    assert np.abs(before - expected[1].ravel()).max() > 0.01
    assert path.stat().st_size < 2e6  # of which 1.6 MB are weights


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (lambda: keras.Sequential([keras.layers.DepthwiseConv2D(3)]), "does not know DepthwiseConv2D; give"),
        (lambda: keras.Sequential([keras.layers.Conv2D(3, 3, dilation_rate=2)]), "dilation_rate"),
        (
            lambda: keras.Sequential([keras.layers.Conv2D(3, 3, activation="gelu")]),
            "Conv2D with activation=gelu",
        ),
        (lambda: keras.Sequential([keras.Sequential([keras.layers.Conv2D(3, 3)])]), "know Sequential; give"),
    ],
)
def test_a_layer_that_the_page_does_not_know_is_named_and_there_is_no_page(model, words, small, tmp_path):
    model = model()
    model.build((None, 32, 32, 3))
    with pytest.raises(ScriptError, match=words):
        export(model, tmp_path, small)
    assert not (tmp_path / "page.html").exists()


def test_three_images_of_each_class_one_of_them_mistaken():
    labels = np.repeat(np.arange(10), 6)
    predicted = labels.copy()
    predicted[[2, 3, 10]] = 9
    predicted[12:18] = 0
    rows = page.choose(labels, predicted, 10)
    assert rows[:9] == [0, 1, 2, 6, 7, 10, 12, 13, 14]
    assert len(rows) == 30
    assert page.choose(labels[:12], labels[:12], 2) == list(range(12))
    assert len(page.choose(np.arange(40), np.arange(40), 40)) == 30


def test_a_page_of_somebody_else_is_not_replaced(small, tmp_path):
    (tmp_path / "page.html").write_text("<p>mine")
    with pytest.raises(ScriptError, match="page.html: not written by this script"):
        export(random_model(cnn_with_gap.build_model), tmp_path, small)
    assert (tmp_path / "page.html").read_text() == "<p>mine"


def test_what_rounding_does_is_printed(small, tmp_path, capsys):
    model = random_model(cnn_with_gap.build_model)
    path = export(model, tmp_path, small)
    printed = capsys.readouterr().out
    assert f"wrote {path}\n" in printed
    exact, rounded = data_of(path)["accuracy"]
    assert f"(test accuracy): {exact:.2%}; " in printed
    assert f"(with weights of 16 bits): {rounded:.2%}, " in printed
