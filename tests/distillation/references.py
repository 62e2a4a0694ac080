"""The losses in NumPy, float64, written from the papers and with loops where that is plainer."""

import numpy as np


def log_softmax(z):
    z = z - z.max(axis=-1, keepdims=True)
    return z - np.log(np.exp(z).sum(axis=-1, keepdims=True))


def softmax(z):
    return np.exp(log_softmax(z))


def reference(t, s, temperature):
    t, s = log_softmax(t / temperature), log_softmax(s / temperature)
    return temperature**2 * (np.exp(t) * (t - s)).sum(axis=-1)


def crossentropy(y, p):
    return -np.log(np.clip(p[np.arange(len(y)), y], 1e-7, 1.0))


def normal(shape, seed, scale=1.0):
    return scale * np.random.default_rng(seed).normal(size=shape)


def kl(p, q):
    return (p * (np.log(p) - np.log(q))).sum(-1)


def decoupled(t, s, target, alpha=1.0, beta=8.0, temperature=4.0):
    p, q = softmax(t / temperature), softmax(s / temperature)
    rows = []
    for pi, qi, k in zip(p, q, target, strict=True):
        others = np.arange(len(pi)) != k
        binary = [np.array([x[k], x[others].sum()]) for x in (pi, qi)]
        rest = [x[others] / x[others].sum() for x in (pi, qi)]
        rows.append(temperature**2 * (alpha * kl(*binary) + beta * kl(*rest)))
    return np.array(rows)


def centered_mse(t, s):
    d = t - s
    return ((d - d.mean(-1, keepdims=True)) ** 2).mean(-1)


def attention(t, s):
    maps = [(x**2).mean(-1).reshape(len(x), -1) for x in (t, s)]
    maps = [m / np.linalg.norm(m, axis=1, keepdims=True) for m in maps]
    return ((maps[0] - maps[1]) ** 2).sum(-1)


def similarity(t, s):
    grams = [x.reshape(len(x), -1) @ x.reshape(len(x), -1).T for x in (t, s)]
    grams = [g / np.linalg.norm(g, axis=1, keepdims=True) for g in grams]
    return ((grams[0] - grams[1]) ** 2).mean(-1)


def huber(x):
    return np.where(np.abs(x) <= 1, x**2 / 2, np.abs(x) - 0.5)


def distances(t, s):
    n, found = len(t), []
    for x in (t.reshape(n, -1), s.reshape(n, -1)):
        d = np.array([[np.linalg.norm(a - b) for b in x] for a in x])
        found.append(d / (d.sum() / (n * (n - 1))))
    return huber(found[0] - found[1]).sum(1) / (n - 1)


def angles(t, s):
    n, found = len(t), []
    for x in (t.reshape(n, -1), s.reshape(n, -1)):
        cosines = np.zeros((n, n, n))
        for i in range(n):
            for j in range(n):
                for k in range(n):
                    if j != i and k != i:
                        a, b = x[j] - x[i], x[k] - x[i]
                        cosines[i, j, k] = a @ b / np.linalg.norm(a) / np.linalg.norm(b)
        found.append(cosines)
    return huber(found[0] - found[1]).mean((1, 2))


def bounded(t, s, y, margin=0.0):
    errors = [((x - y) ** 2).mean(-1) for x in (t, s)]
    return np.where(errors[1] + margin > errors[0], errors[1], 0.0)


def bernoulli(t, s, temperature):
    p, q = (1 / (1 + np.exp(-z / temperature)) for z in (t, s))
    return temperature**2 * (p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q))).mean(-1)


def dist(t, s, beta=1.0, gamma=1.0, temperature=1.0):
    """The share of each sample: its own correlation over classes, and its terms of those over samples."""
    p, q = (softmax(z / temperature).reshape(-1, z.shape[-1]) for z in (t, s))
    inter = np.array([1 - np.corrcoef(a, b)[0, 1] for a, b in zip(p, q, strict=True)])
    intra = np.zeros(len(p))
    for a, b in zip(p.T, q.T, strict=True):
        a, b = ((x - x.mean()) / x.std() for x in (a, b))
        np.testing.assert_allclose(((a - b) ** 2).mean() / 2, 1 - np.corrcoef(a, b)[0, 1], rtol=1e-9)
        intra += (a - b) ** 2 / 2 / p.shape[1]
    return (temperature**2 * (beta * inter + gamma * intra)).reshape(t.shape[:-1])
