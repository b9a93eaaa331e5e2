"""Compiled loops of CDF matching: one series, and the bootstrap replicates of a series."""

from __future__ import annotations

import numpy as np

from gsm3core.metrics.kernel import compiled


@compiled
def _percentile_values(values, weights, total, bins, out):  # type: ignore[no-untyped-def]
    """Values at equidistant percentiles of sorted values that each count ``weights`` times."""
    k = 0
    upto = weights[0]
    for b in range(bins + 1):
        position = min(max(b / bins * total - 0.5, 0.0), total - 1.0)
        low = np.floor(position)
        while upto <= low:
            k += 1
            upto += weights[k]
        j = k
        reached = upto
        while reached <= low + 1 and j < values.shape[0] - 1:
            j += 1
            reached += weights[j]
        share = position - low
        out[b] = values[k] + (values[j] - values[k]) * share if share > 0 else values[k]


@compiled
def _merge_equal(xs, ys, number):  # type: ignore[no-untyped-def]
    """Replace equal values of x by one, with the mean of their values of y; return how many are left."""
    kept = 0
    start = 0
    while start < number:
        end = start
        total = 0.0
        while end < number and xs[end] == xs[start]:
            total += ys[end]
            end += 1
        xs[kept] = xs[start]
        ys[kept] = total / (end - start)
        kept += 1
        start = end
    return kept


@compiled
def _matched_value(x, xs, ys, number, segment):  # type: ignore[no-untyped-def]
    """Value of a piecewise linear function, continued beyond its ends, and the segment of x; x must not decrease."""
    while segment < number - 2 and x > xs[segment + 1]:
        segment += 1
    slope = (ys[segment + 1] - ys[segment]) / (xs[segment + 1] - xs[segment])
    return ys[segment] + (x - xs[segment]) * slope, segment


@compiled
def _mean_and_std(values, weights, total):  # type: ignore[no-untyped-def]
    mean = 0.0
    for i in range(values.shape[0]):
        mean += weights[i] * values[i]
    mean /= total
    square = 0.0
    for i in range(values.shape[0]):
        square += weights[i] * (values[i] - mean) ** 2
    return mean, np.sqrt(square / total)


@compiled
def _fit(sorted_x, weights_x, sorted_y, weights_y, total, per_bin, max_bins, xs, ys):  # type: ignore[no-untyped-def]
    """Fill the nodes of the matching function and return how many there are.

    With too few days or a constant x: two nodes, on the line through the means with the ratio of the standard deviations.
    """
    bins = min(int(total / per_bin), max_bins)
    if bins >= 2:
        _percentile_values(sorted_x, weights_x, total, bins, xs)
        _percentile_values(sorted_y, weights_y, total, bins, ys)
        nodes = _merge_equal(xs, ys, bins + 1)
        if nodes >= 2:
            return nodes
    mean_x, std_x = _mean_and_std(sorted_x, weights_x, total)
    mean_y, std_y = _mean_and_std(sorted_y, weights_y, total)
    slope = std_y / std_x if std_x > 1e-10 * abs(mean_x) + 1e-20 else 1.0
    xs[0] = mean_x
    xs[1] = mean_x + 1.0
    ys[0] = mean_y
    ys[1] = mean_y + slope
    return 2


@compiled
def cdf_matched(x, y, per_bin, max_bins, out, first, last):  # type: ignore[no-untyped-def]
    """Write the rows of x matched to the distribution of y over their paired days."""
    xs = np.empty(max_bins + 1)
    ys = np.empty(max_bins + 1)
    for i in range(first, last):
        a_row = x[i]
        c_row = y[i % y.shape[0]]
        days = a_row.shape[0]
        a = np.empty(days)
        c = np.empty(days)
        n = 0
        for t in range(days):
            if abs(a_row[t]) < np.inf and abs(c_row[t]) < np.inf:
                a[n] = a_row[t]
                c[n] = c_row[t]
                n += 1
        if n == 0:
            out[i] = np.nan
            continue
        ones = np.ones(n)
        nodes = _fit(np.sort(a[:n]), ones, np.sort(c[:n]), ones, n, per_bin, max_bins, xs, ys)
        for t in range(days):
            if abs(a_row[t]) < np.inf:
                at = np.searchsorted(xs[:nodes], a_row[t]) - 1
                at = min(max(at, 0), nodes - 2)
                out[i, t] = _matched_value(a_row[t], xs, ys, nodes, at)[0]
            else:
                out[i, t] = np.nan


@compiled
def cdf_replicates(x, y, edges, counts, per_bin, max_bins, out, first, last):  # type: ignore[no-untyped-def]
    """Moments of every bootstrap replicate of x and y, each replicate matched on its own days."""
    xs = np.empty(max_bins + 1)
    ys = np.empty(max_bins + 1)
    for i in range(first, last):
        days = x.shape[1]
        a = np.empty(days)
        c = np.empty(days)
        block = np.empty(days, np.int64)
        n = 0
        for b in range(edges.shape[0] - 1):
            for t in range(edges[b], edges[b + 1]):
                if abs(x[i, t]) < np.inf and abs(y[i, t]) < np.inf:
                    a[n] = x[i, t]
                    c[n] = y[i, t]
                    block[n] = b
                    n += 1
        order_x = np.argsort(a[:n])
        order_y = np.argsort(c[:n])
        sorted_x = a[:n][order_x]
        sorted_y = c[:n][order_y]
        paired_y = c[:n][order_x]
        block_x = block[:n][order_x]
        block_y = block[:n][order_y]
        centre = c[:n].mean() if n else 0.0
        weights_x = np.empty(n)
        weights_y = np.empty(n)
        for r in range(counts.shape[0]):
            total = 0.0
            for k in range(n):
                weights_x[k] = counts[r, block_x[k]]
                weights_y[k] = counts[r, block_y[k]]
                total += weights_x[k]
            out[i, r, 0] = total
            if total == 0:
                out[i, r, 1:] = np.nan
                continue
            nodes = _fit(sorted_x, weights_x, sorted_y, weights_y, total, per_bin, max_bins, xs, ys)
            segment = 0
            sx = 0.0
            sy = 0.0
            xx = 0.0
            yy = 0.0
            xy = 0.0
            for k in range(n):
                w = weights_x[k]
                if w > 0:
                    matched, segment = _matched_value(sorted_x[k], xs, ys, nodes, segment)
                    dx = matched - centre
                    dy = paired_y[k] - centre
                    sx += w * dx
                    sy += w * dy
                    xx += w * dx * dx
                    yy += w * dy * dy
                    xy += w * dx * dy
            sx /= total
            sy /= total
            out[i, r, 1] = centre + sx
            out[i, r, 2] = centre + sy
            out[i, r, 3] = max(xx / total - sx * sx, 0.0)
            out[i, r, 4] = max(yy / total - sy * sy, 0.0)
            out[i, r, 5] = xy / total - sx * sy
