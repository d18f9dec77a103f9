# %% [markdown] lang="ja"
# # 畳み込みニューラルネットワークの記事を、動かしながら読む
#
# 記事「ゼロから作るDeep Learningとともに学ぶフレームワーク（畳み込みニューラルネットワーク編）」（2019-05-10）のコード、表、図を、記事と同じ順に並べたノートブックです。記事は『ゼロから作るDeep Learning』（斎藤康毅、オライリー・ジャパン、2016年）の第7章に対応していて、「本」とあるのはこの本のことです。Kerasを使ったことがなくても読めます。
#
# - 実行結果を保存してあるので、読むだけでも構いません。動かすときは上から順に実行してください。保存してあるのは1コアで実行した結果です。コア数やCPUが違うと丸め誤差が変わり、精度も少し変わります。
# - `# cnn.py: build_model`のような行の下は、そのスクリプトから取り込んだコードです。自由に書き換えて試せます。
# - 学習の経過は1エポックごとに`results/notebook`に保存されます。途中で止めたセルは、もう一度実行すると続きから始まります。学習が終わったセルは、もう一度実行しても学習し直しません。
#
# English: [article.ipynb](article.ipynb)

# %% [markdown] lang="en"
# # The article on convolutional networks, to read and run
#
# The code, tables and figures of a Japanese article on convolutional networks,
# 「ゼロから作るDeep Learningとともに学ぶフレームワーク（畳み込みニューラルネットワーク編）」 (2019-05-10),
# in its order. "The book" is 『ゼロから作るDeep Learning』 (斎藤康毅, O'Reilly Japan, 2016), of whose chapter 7 it treats.
# You need not have seen Keras before.
#
# - The outputs are stored, so you can just read. To run the cells, begin at the top and keep the order.
#   What is stored was run on one core: with more cores, or another processor, rounding changes, and so the
#   accuracies do, a little.
# - Below a line like `# cnn.py: build_model` stands code of that script. Change it as you like.
# - Training is kept in `results/notebook`, an epoch at a time. A cell that was interrupted goes on when
#   you run it again, and one that has finished does not train again.
#
# 日本語：[article.ja.ipynb](article.ja.ipynb)

# %% [markdown] lang="ja"
# ## 準備
#
# このノートブックは、同じリポジトリにあるスクリプトを使います。次のセルはその場所へ移り、足りないパッケージをインストールします（そろっていれば何もしません）。
#
# Google Colabでは、先にリポジトリのフォルダをGoogleドライブの「マイドライブ」に置き、新しいセルで次の2行を実行してください（`FOLDER`はそのフォルダの名前です）。
#
# ```
# from google.colab import drive; drive.mount("/content/drive")
# %cd /content/drive/MyDrive/FOLDER
# ```

# %% [markdown] lang="en"
# ## Set-up
#
# The notebook uses the scripts of its repository. The next cell goes to their folder, and installs the packages
# that are missing, if there are any.
#
# In Google Colab first put the repository's folder into "My Drive", and run these two lines in a new cell, with
# that folder's name for `FOLDER`:
#
# ```
# from google.colab import drive; drive.mount("/content/drive")
# %cd /content/drive/MyDrive/FOLDER
# ```

# %%
# %matplotlib inline
import os
import sys

os.chdir(".." if os.path.exists("../cnn.py") else ".")
if not os.path.exists("cnn.py"):
    sys.exit("cnn.py is not here: run %cd FOLDER, with the folder that has it, and then this cell again")
sys.path.insert(0, os.getcwd())
# %pip install -q -r requirements.txt

# %% [markdown] lang="ja"
# `DATA`と`OPTIONS`には、スクリプトのコマンドラインと同じオプションを書きます。このまま実行すると、CIFAR-10の全画像を使います。

# %% [markdown] lang="en"
# `DATA` and `OPTIONS` hold what the scripts would get on the command line. As they are, they mean all of CIFAR-10.

# %% tags=["parameters"]
import logging

import matplotlib

from support import command_line
from support.figures import drawing  # sets Matplotlib to its defaults

DATA = []  # CIFAR-10, else the sample; or ["--data=sample"], ["--limit=5000"], ...
OPTIONS = {"cnn_with_gap": ["--epochs=10"]}  # 150 in the article


def options(script, **defaults):
    """What the script makes of its command line."""
    images = ["results/notebook/cnn/model.keras"] if "model" in defaults else DATA
    words = ["--show", f"--out=results/notebook/{script}", *images, *OPTIONS.get(script, [])]
    return command_line.parse(f"{script}.py", "", words, **defaults)


# TensorFlow warns where one process has several models.
logging.getLogger("tensorflow").addFilter(lambda record: "retracing" not in record.msg)
matplotlib.rcParams["figure.dpi"] = 80

# %% [markdown] lang="ja"
# ## 1. CIFAR10 データセット
#
# CIFAR-10は、32×32画素のカラー画像60,000枚を10クラスに分けたデータセットです。50,000枚が訓練データ、10,000枚がテストデータです。初めて使うときは170 MBをダウンロードするので、**回線によっては1分以上かかります。**
#
# CIFAR-10が手に入らなければ、付属のsample（10種類の図形）で続けます。どちらを使っているかは、次の出力の「training set」の行と図の見出しでわかります。sampleの数値は記事とは異なります。

# %% [markdown] lang="en"
# ## 1. The CIFAR-10 data set
#
# 60,000 colour images of 32 × 32 pixels in ten classes: a training set of 50,000 and a test set of 10,000.
# The first time 170 MB are fetched, **which may take more than a minute.**
#
# Where CIFAR-10 cannot be had, a built-in sample of ten shapes takes its place. The line with "training set"
# below and the titles of the figures say which it is. The numbers are not the article's.

# %%
# script: show_samples.main to plot_cells

# %% [markdown] lang="ja"
# ## 2. モデルの実装
#
# ### 2.1 レイヤーの定義
#
# Kerasの層は、本で作ったクラスに対応します。
#
# | 本 | Keras |
# |---|---|
# | `Convolution`と`Relu` | `Conv2D(..., activation="relu")` |
# | `Pooling` | `MaxPooling2D` |
# | `Affine` | `Dense` |
# | `SoftmaxWithLoss` | `activation="softmax"`と`loss="categorical_crossentropy"` |
#
# 重みの形状を計算して渡す必要はありません。層を関数のように呼び出して前の層の出力につなぐと、Kerasが決めてくれます。
#
# ### 2.2 畳み込み処理
#
# まず入力からプーリング層までをつなぎ、`summary()`で各層の出力の形状とパラメータ数を見てみましょう。形状は高さ、幅、チャンネルの順で、先頭の`None`はバッチの大きさです。5×5のフィルターは画像からはみ出さない範囲を動くので、縦横は32 − 5 + 1 = 28になり、プーリングで半分の14になります。フィルター1個のパラメータは、重み5×5×3 = 75個とバイアス1個です。

# %% [markdown] lang="en"
# ## 2. The model
#
# ### 2.1 Layers
#
# A layer in Keras is what a class is in the book:
#
# | book | Keras |
# |---|---|
# | `Convolution` and `Relu` | `Conv2D(..., activation="relu")` |
# | `Pooling` | `MaxPooling2D` |
# | `Affine` | `Dense` |
# | `SoftmaxWithLoss` | `activation="softmax"` and `loss="categorical_crossentropy"` |
#
# You need not work out the shapes of the weights. A layer is called like a function, with the output of
# the one before, and Keras does the rest.
#
# ### 2.2 Convolution
#
# First from the input to the pooling. `summary()` prints the layers' output shapes and parameters.
# A shape is height, width, channels; the `None` before them is the size of a batch.
# A filter of 5 × 5 stays within the image, which leaves 32 − 5 + 1 = 28 places a side. Pooling halves them.
# The parameters of a filter: 5 × 5 × 3 = 75 weights and a bias.

# %%
import keras

keras.utils.clear_session()  # names of layers begin without a number again

# script: cnn.build_model to MaxPooling2D(

Model(_input, _hidden).summary()

# %% [markdown] lang="ja"
# ### 2.3 出力処理
#
# 次は全結合層です。本の`Affine`のつもりで、`Dense(100)`をそのままつなぐとどうなるでしょうか。

# %% [markdown] lang="en"
# ### 2.3 Output
#
# Now the fully connected layers. What comes of a `Dense(100)` right here, where the book has its `Affine`?

# %%
keras.utils.clear_session()

Model(_input, Dense(100, activation="relu")(_hidden)).summary()

# %% [markdown] lang="ja"
# 100個の値が欲しいのに、出力は`(None, 14, 14, 100)`です。`Dense`は最後の軸だけに働き、14×14の位置ごとに、30個のチャンネルから100個の値を作ります。画像全体を見て100個の値を出すには、先にすべての値を1列に並べなければなりません。本の`Affine`はこれを自分でやっていました。Kerasでは`Flatten`という層の仕事です。
#
# `Flatten`を入れて最後まで書いたモデルが次の`build_model`です。層を書き換えて実行すると、表がどう変わるかを確かめられます。

# %% [markdown] lang="en"
# 100 values were wanted, but the output is `(None, 14, 14, 100)`. `Dense` works on the last axis alone: at
# each of the 14 × 14 places it turns 30 channels into 100.
# To look at the whole image at once it needs all values in one row. The book's `Affine` sees to that
# itself. In Keras it is a layer of its own, `Flatten`.
#
# With it the model is complete. Change a layer, run the cell, and see what becomes of the table.

# %%
keras.utils.clear_session()

# script: cnn.build_model


model = build_model()

# %%
# script: cnn.main to args

from support.figures import blocks

blocks.draw(model, args.script, args.out / "model.png")  # model.summary(), and a figure

# %% [markdown] lang="ja"
# `Flatten`で14×14×30 = 5,880個の値が1列になります。その次の`Dense`のパラメータは5,880×100 + 100 = 588,100個で、モデル全体のほとんどを占めます。

# %% [markdown] lang="en"
# `Flatten` makes a row of 14 × 14 × 30 = 5,880 values. The layer behind it has 5,880 × 100 + 100 = 588,100
# parameters, nearly all of the model's.

# %% [markdown] lang="ja"
# ### 2.4 データセットの読み込みと学習設定
#
# 画素の値は0～1に直し、ラベルはone-hot表現にします。記事は全画像をまとめて変換しますが、ここではメモリを節約するために、必要になった分から少しずつ`prepare`で変換します。

# %% [markdown] lang="en"
# ### 2.4 Data and training
#
# Pixels go to 0..1 and labels become one-hot. The article does this to all images at once. Here it is done
# to a few at a time, when they are due, which takes less memory.

# %%
# script: cnn.prepare

# %% [markdown] lang="ja"
# `compile`で最適化手法と損失関数を決め、`fit`で学習します。進行状況のバーの右に出る`accuracy`が訓練精度、1エポックの最後に出る`val_accuracy`がテスト精度です。`training.resume`が返す`run`は、エポックごとに保存し、止めた学習を続きから再開するためのものです。
#
# **次のセルは数分かかります。** 途中で止めても、もう一度実行すれば、最後に終わったエポックの次から再開します。

# %% [markdown] lang="en"
# `compile` takes the optimizer and the loss, and `fit` trains. Beside the progress bar, `accuracy` is that on the
# training set. At the end of an epoch comes `val_accuracy`, the test accuracy. The `run` from
# `training.resume` saves each epoch, and lets a stopped training go on.
#
# **The next cell takes a few minutes.** Interrupt it if you like: run again, it goes on after the last
# finished epoch.

# %%
# script: cnn.main to _results

# %% [markdown] lang="ja"
# ## 3. 実験
#
# ### 3.1 1層畳み込みニューラルネットの学習結果
#
# 記事は精度の図を見て、5エポック目あたりから過学習の傾向があるとしています。ここでは図に2本の縦線を引き、数値で確かめます。破線は、訓練精度がテスト精度より5ポイント以上高くなり始めるエポックです。点線は、テストデータの損失が最小になるエポックです。

# %% [markdown] lang="en"
# ## 3. Experiments
#
# ### 3.1 What the training comes to
#
# The article sees over-fitting from about the fifth epoch on. Two lines in the figure put a number to that:
# dashed, from where the training accuracy stays five points or more ahead of the test accuracy; dotted, where the
# test loss is lowest.

# %%
from utils import plot_accuracy, print_result

# script: cnn.main from plot_accuracy to print_result

# %% [markdown] lang="ja"
# ### 3.2 重みの可視化
#
# #### 3.2.1 重み画像の生成
#
# `get_weights()`のリストは入力側から順に並ぶので、先頭が畳み込み層の重みです。形状は`(5, 5, 3, 30)`、つまり高さ、幅、チャンネル、フィルターの順です。これをフィルターごとに分け、5×5画素のカラー画像にします。

# %% [markdown] lang="en"
# ### 3.2 The weights
#
# #### 3.2.1 An image of each filter
#
# `get_weights()` begins at the input, so the convolution's weights come first: `(5, 5, 3, 30)`, that is height,
# width, channels and filters. Each filter becomes a colour image of 5 × 5 pixels.

# %%
# script: visualize_weights.weight_images


weight_image = weight_images(model)
print(len(weight_image), weight_image[0].shape, weight_image[0].dtype)

# %% [markdown] lang="ja"
# #### 3.2.2 タイル状に画像を表示
#
# 画像を並べて1枚にします。学習前のモデルは、`training.resume`が`initial.keras`に保存しています。

# %% [markdown] lang="en"
# #### 3.2.2 Tiles
#
# The images, put together into one. `training.resume` has kept the untrained model in `initial.keras`.

# %%
import math

# script: utils.combine_images

# %%
from pathlib import Path

# script: visualize_weights.main to plot_tiles

# %% [markdown] lang="ja"
# 学習前はノイズにしか見えませんが、学習後にはエッジや2色の組み合わせのような模様が見られます。
#
# ただし、タイルに描いたのは重みです。フィルターが本当に「特定の方向に反応する」かどうかは、画像に当ててみないとわかりません。それを調べるのが`explore.filters`です。
#
# - 1つ目の図は、同じタイルを規則性の高い順に並べたものです。`regularity`（規則性）は、隣り合う重みがどれだけ似ているかを表す値です。すべて等しければ1、ノイズなら0前後になります。図と一緒に表示される文の`eigenvectors`（固有ベクトル）は、テスト画像の小片の主成分です。ラベルも学習も使っていないので、学習したフィルターの規則性と比べるのに使います。
# - 2つ目からの図は、1行が1つのフィルターです。番号は1つ目の図と同じです。3枚のテスト画像の中で反応した場所（学習前と学習後。明るいほど強い）と、最も強く反応したテスト画像の一部が並びます。

# %% [markdown] lang="en"
# Before training they are noise; afterwards some are edges or pairs of colours.
#
# But these are weights. What a filter answers to, only images can tell. `explore.filters` looks:
#
# - The first figure has the same tiles, the most regular first. `regularity` says how alike neighbouring weights are,
#   1 where they are equal and about 0 in noise. The `eigenvectors` in the text come from the images alone, without labels
#   or training: something to compare the regularity with.
# - In the others a row is a filter, with the number that it has in the first: where in three test images it answers,
#   before training and after, bright for strongly, and the parts of test images that excite it most.

# %%
from explore import filters

filters.main(["results/notebook/cnn/model.keras", "--sort", "--show", "--out=results/notebook/filters"])

# %% [markdown] lang="ja"
# 第2節のネットワークを学習させたものが[docs/cnn.html](../docs/cnn.html)にあります。ブラウザで開き、特徴マップの値をクリックすると、その値を作った画素、重み、75個の積が見られます。`python -m explore.page results/notebook/cnn/model.keras`とすれば、いま学習したネットワークで同じページを作れます。

# %% [markdown] lang="en"
# [docs/cnn.html](../docs/cnn.html) is the network of section 2, trained, to open in a browser: click a value of a
# feature map, and see the pixels, weights and 75 products that made it.
# `python -m explore.page results/notebook/cnn/model.keras` makes such a page of the network trained above.

# %% [markdown] lang="ja"
# ## 4. 学習済みモデルの活用
#
# ### 4.2 MobileNetの読み込み
#
# MobileNetは、ImageNetの写真で学習した事前学習済みモデルです。これをCIFAR-10の分類に生かします（転移学習）。`include_top=False`で元の出力層を外し、10クラス用の`Dense`を付けます。学習されないパラメータ21,888個は、バッチ正規化の平均と分散です。表を見るだけなら重みは要らないので、ここでは`weights=None`としています。

# %% [markdown] lang="en"
# ## 4. Transfer learning
#
# ### 4.2 MobileNet
#
# MobileNet has learned from the photographs of ImageNet. Transfer learning puts that to use for other images.
# `include_top=False` leaves out its output layer, and a `Dense` for ten classes takes its place.
# The 21,888 parameters that are not trained are the means and variances of batch normalization.
# A table needs no weights, hence `weights=None` here.

# %%
keras.utils.clear_session()

# script: transfer_learning.build_model


model = build_model(weights=None)
model.summary()

# %% [markdown] lang="ja"
# ### 4.3 データセットの読み込み、4.4 転移学習の実行
#
# MobileNetは224×224の画像用ですが、32×32から受け付けるので、画像はそのまま渡します。
#
# 学習前に`evaluate`で`[損失, 精度]`を見ます。出力層の重みはまだ乱数なので、精度は10%前後ですが、かなり外れることもあります（記事では11.9%。理由は[手引きの4.4節](../docs/reading.ja.md#44-転移学習の実行)にあります）。その後の3エポックでは、出力層だけでなくMobileNet全体を学習します。
#
# ImageNetの重みが手に入らなければ、警告を出して乱数の重みで続けます。その場合は転移学習になりません。
#
# **次のセルは数分かかります。**

# %% [markdown] lang="en"
# ### 4.3 Data, 4.4 Training
#
# MobileNet is made for 224 × 224 pixels and takes all sizes from 32 × 32 on, so the images stay as they are.
#
# `evaluate` gives `[loss, accuracy]` before training. The weights of the new layer are random, so it cannot be much
# better than a guess, which is right in 10 % of cases. The article had 11.9 %. Then all of MobileNet is trained for
# three epochs, not the new layer alone.
#
# Where ImageNet's weights cannot be had, a warning says so and random ones are taken. That is no transfer
# learning.
#
# **The next cell takes a few minutes.**

# %%
# script: transfer_learning.prepare


# script: transfer_learning.main to _results

# %% [markdown] lang="ja"
# 記事のテスト精度は71.44%、74.99%、77.28%でした。READMEの表とログは別の種類のCPUで測ったもので、シードも学習前の値も同じですが、丸め誤差の違いが学習の間に広がるので、精度は1、2ポイント違うことがあります。

# %% [markdown] lang="en"
# The article had 71.44 %, 74.99 % and 77.28 %. The README's table and log come from another kind of CPU: with the same
# seed and the same values before the training, rounding grows into a difference of a point or two.

# %%
# script: transfer_learning.main from title to print_result

# %% [markdown] lang="ja"
# 第2節のCNNと比べてみましょう。表の1行が1回の学習で、最良と最後のテスト精度（かっこの中はエポック）、初めて50%に達したエポック、パラメータ数、CPU時間を示します。エポック数は少なくても、MobileNetは1エポックの計算が重いことに注意してください。

# %% [markdown] lang="en"
# Beside the network of section 2. A row is a run: its best and its last test accuracy, with the epoch, the first epoch
# with 50 %, the parameters, and the CPU time. MobileNet needs few epochs, but each costs more.

# %%
from explore import compare

runs = ["results/notebook/cnn", "results/notebook/transfer_learning"]
compare.main([*runs, "--show", "--out=results/notebook/compare"])

# %% [markdown] lang="ja"
# ## 5. 最近のCNN
#
# ### 5.1 Global Average Pooling
#
# `Flatten`の代わりに`GlobalAveragePooling2D`（GAP）を置くと、特徴マップ1枚がその平均値1個になり、`(None, 14, 14, 30)`が`(None, 30)`になります。続く`Dense`が小さくなるので、パラメータは591,390個から6,390個に減ります。

# %% [markdown] lang="en"
# ## 5. Recent CNNs
#
# ### 5.1 Global average pooling
#
# In place of `Flatten`, `GlobalAveragePooling2D` keeps one number of each feature map, its mean:
# `(None, 14, 14, 30)` becomes `(None, 30)`. The layer behind it shrinks, and 591,390 parameters become 6,390.

# %%
keras.utils.clear_session()

# script: cnn_with_gap.build_model


model = build_model()
model.summary()

# %% [markdown] lang="ja"
# 記事は150エポック学習しますが、ここでは10エポックだけにします。もっと学習するには、準備の`OPTIONS`があるセルで`--epochs`を増やして実行し、それからこの下のセルを実行してください。続きから学習します。
#
# **次のセルは1分ほどかかります。**

# %% [markdown] lang="en"
# The article trains for 150 epochs; ten must do here. For more, raise `--epochs` in `OPTIONS` above, run that cell
# and then the one below, and the training goes on.
#
# **The next cell takes about a minute.**

# %%
# script: cnn_with_gap.main to _results

# %% [markdown] lang="ja"
# 1つ目の図がいまの学習、2つ目は`python cnn_with_gap.py`で150エポック学習したときの図です。訓練精度とテスト精度がほとんど離れないのが、第2節のCNNとの違いです。その代わり学習は遅く、記事の精度も56%程度にとどまっています。

# %% [markdown] lang="en"
# First the run above, then a stored figure: 150 epochs of `python cnn_with_gap.py`. Unlike in section 3.1, training
# and test accuracy stay together. But the network learns slowly: the article has about 56 %.

# %%
import IPython

# script: cnn_with_gap.main from plot_accuracy to print_result

IPython.display.Image("docs/cnn_with_gap.png", width=640)

# %% [markdown] lang="ja"
# 記事が触れている信頼度マップ（confidence map）です。クラスごとに、正しく分類できた画像と間違えた画像を1枚ずつ選びました。画像の右が、予測したクラスの根拠になった場所（明るいほど強い）、その右が学習前の同じネットワークのマップ（`untrained`）です。2つが同じに見えるなら、そのマップは学習で身に付けたものを表していません。このモデルは特徴マップとクラスが1対1に対応しません。そこで、クラスのスコア（ソフトマックスの前の値）をGAPの出力で微分した勾配を重みにして、30枚を足し合わせています（Grad-CAM）。

# %% [markdown] lang="en"
# The confidence maps that the article mentions: for each class an image that was recognised and one that was not.
# Beside it is what speaks for the predicted class, bright for strongly, and then the same for the network before
# training (`untrained`). Where the two look alike, the map says nothing about what was learned. In this model a
# feature map does not belong to one class, so the 30 maps are added up, each weighted by the gradient of what comes
# behind (Grad-CAM).

# %%
from explore import maps

maps.main(["results/notebook/cnn_with_gap/model.keras", "--show", "--out=results/notebook/maps"])

# %% [markdown] lang="ja"
# ## 次に試すこと
#
# - 2.3節の`build_model`の層を書き換えて学習する。前の設定で学習した結果が残っているとエラーになるので、`OPTIONS["cnn"] = ["--fresh"]`というセルを加えます（結果を捨てて最初から学習する）。次に2.3節の`build_model`のセル、2.4節の学習のセルの順に実行してください。4節と5.1節にも`build_model`があり、名前が同じだからです。学習が済んだら（または、止めて続きから再開するときは）`OPTIONS["cnn"] = []`に戻してください。
# - 同じようにして、`DATA = ["--limit=5000"]`と画像を減らし、過学習がどう変わるかを見る。
# - 自分の写真を見せる、どこで間違えるかを調べるなど、ほかの質問は[docs/explore.ja.md](../docs/explore.ja.md)にあります。
# - 記事のコードとスクリプトの対応、2019年のKerasとの違い、練習問題は[手引き](../docs/reading.ja.md)にあります。

# %% [markdown] lang="en"
# ## What to try next
#
# - Change a layer in `build_model` of section 2.3 and train. What was trained before is in the way, so first run a
#   cell with `OPTIONS["cnn"] = ["--fresh"]`: it forgets that and starts anew. Then run the cell of that `build_model`,
#   for sections 4 and 5.1 have one of the same name, and the training cell of 2.4. Afterwards, or
#   before a stopped training is to go on, set `OPTIONS["cnn"] = []` again.
# - Take fewer images, with `DATA = ["--limit=5000"]` and `--fresh`, and see more over-fitting.
# - Show it your own photo, see where it is wrong: [docs/explore.md](../docs/explore.md) has more questions.
# - [The reading guide](../docs/reading.md) has the article line by line, what changed since 2019, and exercises.
