import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from msflow_jax.ode import (
    ADAPTIVE,
    FIXED,
    GAINED,
    SOLVERS,
    VALUE,
    integrate,
    jumps,
    shifted,
    shifted_time,
    tracing,
)  # fmt: skip

STAGES = {"euler": 1, "heun": 2, "midpoint": 2, "rk4": 4}


def oscillator(u, z):
    """z' = 3 cos(4 u) z, so that z(b) = z(a) exp(3 (sin 4b - sin 4a) / 4)."""
    return jax.tree.map(lambda a: 3 * jnp.cos(4 * u) * a, z)


def solution(start, a, b):
    return start * np.exp(3 * (np.sin(4 * b) - np.sin(4 * a)) / 4)


START = {"x": jnp.array([[1.0], [-2.0]]), "y": jnp.array([[0.5], [3.0]])}


def test_shifted_steps_of_euler_are_the_hand_written_loop():
    times, z = shifted_time(np.linspace(0, 1, 9), 3.0), START
    # arXiv 2403.03206, eq. 23, of times that run from the image to noise.
    np.testing.assert_allclose(1 - times, 3 * (s := np.linspace(1, 0, 9)) / (1 + 2 * s), atol=1e-12)
    for u, step in zip(times[:-1], np.diff(times), strict=True):
        z = jax.tree.map(lambda a, v, h=step: a + h * v, z, oscillator(u, z))
    out = integrate(shifted(oscillator, 3.0, 1 / 8), START, 0.0, 1.0, steps=8)
    for name in START:
        np.testing.assert_allclose(out.end[name], z[name], rtol=1e-5)


@pytest.mark.parametrize("solver", ["heun", "rk4", "tsit5"])
def test_a_shift_leaves_the_end_as_it_is(solver):
    out = integrate(shifted(oscillator, 2.5), START, 0.0, 1.0, solver=solver, steps=100)
    for name, start in START.items():
        np.testing.assert_allclose(out.end[name], solution(start, 0.0, 1.0), rtol=1e-3)


def test_euler_is_the_hand_written_loop():
    z, dt = START, 1 / 25
    for i in range(25):
        z = jax.tree.map(lambda a, v: a + dt * v, z, oscillator(i * dt, z))
    out = jax.jit(lambda z: integrate(oscillator, z, 0.0, 1.0, steps=25))(START)
    for name in START:
        np.testing.assert_allclose(out.end[name], z[name], rtol=1e-6)
    back = integrate(oscillator, START, 1.0, 0.0, steps=1)
    np.testing.assert_array_equal(back.end["x"], START["x"] - oscillator(1.0, START)["x"])


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("way", [(0.0, 1.0), (1.0, 0.0)], ids=["forwards", "backwards"])
def test_known_solution_nfe_and_grid(solver, way):
    calls = []

    def counted(u, z):
        u = jax.pure_callback(lambda v: (calls.append(1), v)[1], jax.ShapeDtypeStruct((), jnp.float32),
                              u, vmap_method="sequential")  # fmt: skip
        return oscillator(u, z)

    one = {"x": jnp.array([[1.5]])}
    steps = 40
    out = jax.jit(
        lambda z: integrate(
            counted, z, *way, solver=solver, steps=steps, grid=5, rtol=1e-5, atol=1e-6
        )
    )(one)
    tolerance = {"euler": 0.2, "heun": 1e-2, "midpoint": 1e-2}.get(solver, 1e-4)
    np.testing.assert_allclose(out.end["x"], solution(1.5, *way)[None, None], rtol=tolerance)
    np.testing.assert_allclose(out.grid, np.linspace(*way, 5))
    expected = [solution(1.5, way[0], g) for g in np.linspace(*way, 5)]
    np.testing.assert_allclose(out.states["x"][:, 0, 0], expected, rtol=tolerance, atol=1e-3)
    assert np.all(out.ok)
    assert int(np.sum(out.nfe)) == len(calls)
    if solver in FIXED:
        assert int(out.nfe) == steps * STAGES[solver]


@pytest.mark.parametrize("solver,order", [("euler", 1), ("heun", 2), ("midpoint", 2), ("rk4", 4)])
def test_order_of_convergence(solver, order):
    def growth(u, z):
        return {"x": (1 + 2 * u) * z["x"]}

    errors = []
    for steps in (6, 12) if solver == "rk4" else (32, 64):
        out = integrate(growth, {"x": START["x"]}, 0.0, 1.0, solver=solver, steps=steps)
        errors.append(np.abs(out.end["x"] - np.exp(2) * START["x"]).max())
    assert np.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.4)


@pytest.mark.parametrize("way", [(0.0, 1.0), (1.0, 0.0)], ids=["drawn", "read"])
@pytest.mark.parametrize("solver", ["heun", "tsit5"])
def test_one_gaussian_is_transported(solver, way):
    """noise ~ N(0, 1) to data ~ N(m, s^2): z_u ~ N(u m, (1-u)^2 + u^2 s^2), whose velocity is known."""
    m, s = 1.5, 0.4

    def field(u, z):
        variance = (1 - u) ** 2 + u**2 * s**2
        return {"z": m + (u * s**2 - (1 - u)) / variance * (z["z"] - u * m)}

    noise = jax.random.normal(jax.random.key(0), (4096, 2))
    start = noise if way[0] == 0 else m + s * noise
    out = jax.jit(lambda z: integrate(field, {"z": z}, *way, solver=solver, steps=60))(start).end[
        "z"
    ]
    mean, sd = (m, s) if way[1] == 1 else (0.0, 1.0)
    # The exact map is affine: z -> mean + sd * (z - start's mean) / start's sd.
    np.testing.assert_allclose(out, mean + sd * np.asarray(noise), atol=5e-3)
    np.testing.assert_allclose(np.mean(out, axis=0), mean, atol=0.06 * sd)
    np.testing.assert_allclose(np.cov(out.T), sd**2 * np.eye(2), atol=0.06 * sd)


@pytest.mark.parametrize("solver", ADAPTIVE)
def test_adaptive_results_do_not_depend_on_batch_mates(solver):
    def stiff(u, z):
        return {"x": -(z["x"] ** 3) * (1 + u)}

    batch = {"x": jnp.array([[0.1], [1.0], [20.0]])}
    whole = integrate(stiff, batch, 0.0, 1.0, solver=solver)
    for i in range(3):
        alone = integrate(stiff, {"x": batch["x"][i : i + 1]}, 0.0, 1.0, solver=solver)
        np.testing.assert_allclose(whole.end["x"][i], alone.end["x"][0], rtol=1e-6)
        assert whole.nfe[i] == alone.nfe[0]
    assert whole.nfe[2] > whole.nfe[0]


def test_giving_up_is_told_not_thrown():
    out = integrate(oscillator, START, 0.0, 1.0, solver="tsit5", rtol=1e-7, atol=1e-7, max_steps=2)
    assert not np.any(out.ok)
    # The place where it stopped looks like any other: nobody must take it for an end.
    assert np.isnan(out.end["x"]).all()


@pytest.mark.parametrize("adjoint", ["checkpoint", "direct"])
def test_gradient_flows(adjoint):
    def end(scale):
        def field(u, z):
            return {"x": scale * z["x"]}

        return integrate(field, {"x": jnp.ones((1, 1))}, 0.0, 1.0, solver="rk4", steps=8,
                         adjoint=adjoint).end["x"].sum()  # fmt: skip

    assert jax.grad(end)(jnp.array(0.7)) == pytest.approx(np.exp(0.7), rel=1e-3)


def test_sharded_batch():
    mesh = Mesh(np.array(jax.devices()), ("data",))
    z = jax.device_put(START, NamedSharding(mesh, PartitionSpec("data")))
    out = jax.jit(lambda z: integrate(oscillator, z, 0.0, 1.0, solver="heun", steps=9))(z)
    alone = integrate(oscillator, START, 0.0, 1.0, solver="heun", steps=9)
    np.testing.assert_allclose(out.end["x"], alone.end["x"], rtol=1e-6)


@pytest.mark.parametrize(
    "arguments", [{"solver": "leapfrog"}, {"steps": 0}, {"grid": 1}, {"adjoint": "none"}]
)
def test_bad_settings_are_refused(arguments):
    with pytest.raises(ValueError):
        integrate(oscillator, START, 0.0, 1.0, **arguments)


def test_the_trace_is_exact_or_estimated():
    matrix = jnp.array([[0.3, 1.0, -0.5], [0.2, -0.1, 0.4], [0.7, 0.6, 0.5]])

    def velocity(u, x):
        return x @ matrix.T + u * x**2

    x = jnp.array([[0.1, -0.2, 0.3], [0.0, 0.5, -0.4]])
    exact = jnp.trace(matrix) + 0.5 * 2 * x.sum(axis=1)
    found = tracing(velocity, None)(0.5, {VALUE: x, GAINED: jnp.zeros(2)})
    np.testing.assert_allclose(found[GAINED], exact, rtol=1e-5)
    np.testing.assert_allclose(found[VALUE], velocity(0.5, x), rtol=1e-6)
    # The mean over all signs is the trace.
    signs = np.stack(np.meshgrid(*[[-1.0, 1.0]] * 3), axis=-1).reshape(8, 1, 3).repeat(2, axis=1)
    estimate = tracing(velocity, jnp.asarray(signs, jnp.float32))(0.5, {VALUE: x})
    np.testing.assert_allclose(estimate[GAINED], exact, rtol=1e-4)


def test_a_density_is_transported():
    """Of x' = -x from 0 to 1 the log-density rises by the dimensions, backwards it falls."""
    start = {VALUE: jnp.ones((2, 4)), GAINED: jnp.zeros(2)}
    field = tracing(lambda u, x: -x, None)
    there = integrate(field, start, 0.0, 1.0, solver="rk4", steps=8).end
    np.testing.assert_allclose(there[GAINED], -4.0, rtol=1e-5)
    back = integrate(field, there, 1.0, 0.0, solver="rk4", steps=8).end
    np.testing.assert_allclose(back[GAINED], 0.0, atol=1e-5)
    np.testing.assert_allclose(back[VALUE], 1.0, rtol=1e-4)


@pytest.mark.parametrize("shift", [1.0, 3.0])
def test_jumps_of_a_shifted_grid_end_where_the_path_does(shift):
    """The exact map of dz/du = -z, whatever the lengths of the jumps."""

    def flow_map(a, b, z):
        return jax.tree.map(lambda x: x * jnp.expm1(-(b - a)) / (b - a), z)

    start = {"z": jnp.ones((2, 3))}
    end = integrate(jumps(flow_map, 1 / 4, shift), start, 0.0, 1.0, steps=4).end["z"]
    np.testing.assert_allclose(end, np.exp(-1), rtol=1e-5)
