"""How many threads XLA gets, which decides some of the last bits."""

from charrnn_core.devices import threads, use_every_core


def test_xla_has_two_threads_or_more_also_for_one_core(monkeypatch):
    for cores, jobs, expected in ((1, 1, 2), (8, 2, 4), (8, 8, 2)):
        monkeypatch.setattr("charrnn_core.devices.cores", lambda cores=cores: cores)
        assert threads(jobs) == expected
        environ = {}
        use_every_core(environ)
        assert environ.get("PJRT_NPROC") == ("2" if cores == 1 else None)
