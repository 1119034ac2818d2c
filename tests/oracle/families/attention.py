"""attention.json: embeddings, sinusoidal positions, scaled dot-product attention and multi-head attention.

attention: q [batch, heads, query, depth], k [batch, heads, key, depth], v [batch, heads, key, value depth]; "lengths"
[batch]: keys from there on are not seen; "mask" [batch, 1 or heads, query, key]: keys are seen where it is 1;
"causal": query i sees the keys up to i, counted from the start of both. Outputs: y, and "weights" [batch, heads,
query, key], what the softmax gave.

multi_head_attention: x [batch, query, width]; "memory" [batch, key, width] is what is attended to, x itself where
there is none. query_kernel, key_kernel [width, heads · depth], value_kernel [width, heads · value depth],
output_kernel [heads · value depth, output width], and a bias for each: Keras's arrays [width, heads, depth] with the
last axes joined.
"""

import numpy as np

from .softmax import softmax_numpy
from .store import generator, keras, normal, tf

FILE = "attention.json"


# ---------------------------------------------------------------- cases


def embedding_cases(cases):
    for name, ids, rows, width in [
        ("embedding", [[4, 0, 4], [2, 4, 1]], 6, 3),
        ("embedding_rank1", [1, 1, 0], 2, 5),
        ("embedding_one", [[0]], 1, 1),
    ]:
        layer = keras.layers.Embedding(rows, width)
        layer.build()
        f = lambda table, ids: layer.stateless_call([table], [], ids)[0]
        inputs = {"table": normal(generator(name), [rows, width])}
        cases.differentiate(name, "embedding", {}, inputs, f, constants={"ids": np.array(ids)}, source="keras")


def sinusoid_cases(cases):
    """Vaswani et al. 2017, section 3.5: sines in even places, cosines in odd ones."""
    for name, time, width in [("sinusoidal_positions", 6, 4), ("sinusoidal_positions_long", 40, 6)]:
        t = tf.range(time, dtype=tf.float64)[:, None]
        pairs = tf.range(width // 2, dtype=tf.float64)[None, :]
        angles = t / tf.pow(tf.constant(10000.0, tf.float64), 2.0 * pairs / width)
        y = tf.reshape(tf.stack([tf.sin(angles), tf.cos(angles)], axis=-1), [time, width])
        cases.add(name, "sinusoidal_positions", {"time": time, "width": width}, {}, {"y": y.numpy()}, source="formula")


def attention_cases(cases):
    def case(name, q, key, value_depth=None, causal=False, lengths=None, mask=None, scale=1.0):
        batch, heads, query, depth = q
        rng = generator(name)
        inputs = {
            "q": normal(rng, q, scale),
            "k": normal(rng, [batch, heads, key, depth], scale),
            "v": normal(rng, [batch, heads, key, value_depth or depth]),
        }
        constants = {}
        seen = np.ones([batch, 1, query, key], bool)
        if lengths is not None:
            constants["lengths"] = np.array(lengths)
            seen = seen & (np.arange(key) < np.array(lengths)[:, None, None, None])
        if mask is not None:
            drawn = rng.integers(0, 2, mask)
            drawn[..., 0] = 1  # every query sees something
            constants["mask"] = drawn
            seen = seen & (drawn == 1)
        attrs = {"scale": 1.0 / np.sqrt(depth), "causal": causal}
        heads_last = lambda x: tf.transpose(x, [0, 2, 1, 3])

        def f(q, k, v, *_):
            y = keras.ops.dot_product_attention(
                heads_last(q),
                heads_last(k),
                heads_last(v),
                mask=None if seen.all() else tf.constant(seen),
                scale=tf.constant(attrs["scale"], tf.float64),
                is_causal=causal,
            )
            return heads_last(y)

        weights = f(inputs["q"], inputs["k"], np.eye(key) + np.zeros([batch, heads, key, key]))
        cases.differentiate(
            name, "attention", attrs, inputs, f, constants=constants, extra={"weights": weights.numpy()}, source="keras"
        )

    case("attention", [2, 2, 3, 4], 5)
    case("attention_one_of_each", [1, 1, 1, 1], 1)
    case("attention_value_depth", [1, 2, 3, 4], 4, value_depth=3)
    case("attention_causal", [2, 2, 4, 4], 4, causal=True)
    case("attention_causal_more_keys", [1, 2, 3, 4], 5, causal=True)
    case("attention_causal_more_queries", [1, 2, 5, 4], 3, causal=True)
    case("attention_lengths", [3, 2, 3, 4], 5, lengths=[5, 1, 3])
    case("attention_lengths_causal", [2, 2, 4, 4], 4, lengths=[4, 2], causal=True)
    case("attention_mask", [2, 2, 3, 4], 5, mask=[2, 1, 3, 5])
    case("attention_mask_heads", [2, 2, 3, 4], 5, mask=[2, 2, 3, 5])
    case("attention_mask_lengths", [2, 2, 3, 4], 5, mask=[2, 1, 3, 5], lengths=[4, 2])
    case("attention_large_scores", [1, 2, 4, 16], 4, scale=3.0)


def multi_head_cases(cases):
    def case(
        name,
        width,
        heads,
        depth,
        query,
        key=None,
        memory_width=None,
        value_depth=None,
        output_width=None,
        causal=False,
        lengths=None,
        use_bias=True,
    ):
        batch = 2
        rng = generator(name)
        value_depth_or = value_depth or depth
        of_memory = memory_width or width
        out = output_width or width
        inputs = {"x": normal(rng, [batch, query, width])}
        if key:
            inputs["memory"] = normal(rng, [batch, key, of_memory])
        shapes = {
            "query": [width, heads * depth],
            "key": [of_memory, heads * depth],
            "value": [of_memory, heads * value_depth_or],
            "output": [heads * value_depth_or, out],
        }
        for part, shape in shapes.items():
            inputs[f"{part}_kernel"] = normal(rng, shape, 0.5)
            if use_bias:
                inputs[f"{part}_bias"] = normal(rng, shape[1:], 0.5)
        constants = {} if lengths is None else {"lengths": np.array(lengths)}
        attrs = {
            "heads": heads,
            "depth": depth,
            "value_depth": value_depth_or,
            "output_width": out,
            "causal": causal,
            "use_bias": use_bias,
        }
        layer = keras.layers.MultiHeadAttention(
            heads, depth, value_dim=value_depth, output_shape=output_width, use_bias=use_bias
        )
        layer.build([batch, query, width], [batch, key or query, of_memory])
        variables = [v.path.split("/")[-2:] for v in layer.trainable_variables]
        names = list(inputs)

        def f(*arguments):
            named = dict(zip(names, arguments))
            given = []
            for (part, kind), variable in zip(variables, layer.trainable_variables):
                part = "output" if part == "attention_output" else part
                given.append(tf.reshape(named[f"{part}_{kind}"], variable.shape))
            mask = None
            if lengths is not None:
                seen = tf.range(key or query)[None, None, :] < tf.cast(arguments[-1], tf.int32)[:, None, None]
                mask = tf.broadcast_to(seen, [batch, query, key or query])
            y, _ = layer.stateless_call(
                given,
                [tf.convert_to_tensor(v) for v in layer.non_trainable_variables],
                named["x"],
                named.get("memory", named["x"]),
                attention_mask=mask,
                use_causal_mask=causal,
            )
            return y

        cases.differentiate(name, "multi_head_attention", attrs, inputs, f, constants=constants, source="keras")

    case("multi_head_attention", 6, 2, 4, 3)
    case("multi_head_attention_one_head", 4, 1, 4, 3)
    case("multi_head_attention_one_token", 3, 3, 1, 1)
    case("multi_head_attention_causal", 6, 2, 4, 4, causal=True)
    case("multi_head_attention_lengths", 6, 2, 4, 4, lengths=[4, 2])
    case("multi_head_attention_lengths_causal", 6, 2, 4, 4, lengths=[3, 4], causal=True)
    case("multi_head_attention_cross", 6, 2, 4, 3, key=5)
    case("multi_head_attention_cross_widths", 6, 2, 4, 3, key=5, memory_width=3, value_depth=3, output_width=5)
    case("multi_head_attention_cross_lengths", 6, 2, 4, 3, key=5, lengths=[5, 3])
    case("multi_head_attention_no_bias", 6, 3, 4, 3, use_bias=False)


def make(cases):
    embedding_cases(cases)
    sinusoid_cases(cases)
    attention_cases(cases)
    multi_head_cases(cases)


# ---------------------------------------------------------------- the definitions, in NumPy


def sinusoids_numpy(a):
    y = np.zeros([a["time"], a["width"]])
    for t, j in np.ndindex(*y.shape):
        angle = t / 10000 ** ((j - j % 2) / a["width"])
        y[t, j] = np.cos(angle) if j % 2 else np.sin(angle)
    return y


def attention_numpy(a, q, k, v, lengths=None, mask=None):
    query, key = q.shape[2], k.shape[2]
    scores = np.einsum("bhqd,bhkd->bhqk", q, k) * a["scale"]
    seen = np.ones(scores.shape, bool)
    if lengths is not None:
        seen &= np.arange(key) < lengths[:, None, None, None]
    if mask is not None:
        seen &= mask == 1
    if a["causal"]:
        seen &= np.arange(key) <= np.arange(query)[:, None]
    weights = softmax_numpy(np.where(seen, scores, -1e4), -1) * seen
    return {"y": np.einsum("bhqk,bhkd->bhqd", weights, v), "weights": weights}


def multi_head_numpy(a, x, memory=None, lengths=None, **w):
    memory = x if memory is None else memory

    def heads(x, part, depth):
        y = x @ w[f"{part}_kernel"] + w.get(f"{part}_bias", 0.0)
        return y.reshape(*y.shape[:2], a["heads"], depth).transpose(0, 2, 1, 3)

    q, k = heads(x, "query", a["depth"]), heads(memory, "key", a["depth"])
    v = heads(memory, "value", a["value_depth"])
    found = attention_numpy({"scale": a["depth"] ** -0.5, "causal": a["causal"]}, q, k, v, lengths)["y"]
    together = found.transpose(0, 2, 1, 3).reshape(*x.shape[:2], -1)
    return together @ w["output_kernel"] + w.get("output_bias", 0.0)


FORWARD = {
    "embedding": lambda a, table, ids: table[ids],
    "sinusoidal_positions": sinusoids_numpy,
    "attention": attention_numpy,
    "multi_head_attention": multi_head_numpy,
}
