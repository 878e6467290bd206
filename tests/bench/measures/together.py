"""Several clients: streams side by side, chats of mixed lengths, a shared prefix, more clients than the queue takes."""

import figures
import load
import prompts
from measures.single import agree, in_turns, series, smollm
from summary import Series

FILE = smollm("Q4_1")
SLOTS = 16
# Of each sequence, in both servers.
CONTEXT = 1536
STREAMS = (1, 4, 8, 16)
CLIENTS = (1, 4, 16, 64)
# Requests of a round, so that every length comes and the last ones do not weigh much.
ROUND_OF = {1: 8, 4: 16, 16: 48, 64: 128}


def streams_rate(server, nth, n_streams, n):
    """Tokens per second of all streams together, from the first token of the last one to start to the end of the first to end."""
    bodies = [prompts.completion(prompts.tokens(3000 + nth * 64 + at, 8), n) for at in range(n_streams)]
    outcomes = load.accepted(load.run(server.address, [[load.request("/v1/completions", body)] for body in bodies]))
    times = [outcome.answer.text_times for outcome in outcomes]
    begin, end = max(one[0] for one in times), min(one[-1] for one in times)
    # Several tokens can come in one piece, where an answer ends inside a character.
    per_piece = sum(outcome.n_tokens for outcome in outcomes) / sum(len(one) for one in times)
    return sum(begin < at <= end for one in times for at in one) * per_piece / (end - begin)


def streams(rig):
    n = rig.few(128, 16)
    with rig.both(FILE, n + 64, SLOTS) as servers:
        agree(rig, servers, FILE)
        for n_streams in STREAMS:
            rates = in_turns(rig, servers, lambda server, nth: streams_rate(server, nth, n_streams, n))
            rig.keep("streams", {"streams": n_streams, "alcazar": rates[0], "llama.cpp": rates[1]})
            words = "1 stream" if n_streams == 1 else f"{n_streams} streams"
            yield series(f"decode of {words}, Q4_1", rates)


def chat_round(rig, server, nth, n_clients):
    """What one round of chats shows; times in seconds."""
    n_requests = rig.few(ROUND_OF[n_clients], n_clients)
    bodies = [prompts.chat(nth * 1000 + at, rig.few(64, 8), rig.few(None, 24)) for at in range(n_requests)]
    requests = [load.request("/v1/chat/completions", body) for body in bodies]
    outcomes = load.accepted(load.run(server.address, [requests[client::n_clients] for client in range(n_clients)], 3600))
    begin, end = min(one.asked_at for one in outcomes), max(one.answer.ended_at for one in outcomes)
    gaps = [gap for one in outcomes for gap in one.gaps_s]
    firsts = [one.first_s for one in outcomes]
    if not gaps:
        raise RuntimeError("every answer came in one piece: the clients were not awake to see the tokens come")
    return {
        "tokens/s": sum(one.n_tokens for one in outcomes) / (end - begin),
        **{f"first token p{percent}": figures.percentile(firsts, percent) for percent in (50, 99)},
        **{f"inter-token p{percent}": figures.percentile(gaps, percent) * 1000 for percent in (50, 99)},
    }


def chat(rig):
    """Closed loop: each client asks again when it has its answer, so prompts come in all the time."""
    with rig.both(FILE, CONTEXT, SLOTS) as servers:
        agree(rig, servers, FILE)
        for n_clients in CLIENTS:
            rounds = in_turns(rig, servers, lambda server, nth: chat_round(rig, server, 10 * n_clients + nth, n_clients))
            rig.keep("chat", {"clients": n_clients, "alcazar": rounds[0], "llama.cpp": rounds[1]})
            pick = lambda key: [[one[key] for one in of_server] for of_server in rounds]
            yield series(f"chat of {n_clients}: tokens", pick("tokens/s"))
            for percent in (50, 99):
                yield series(f"chat of {n_clients}: first token p{percent}", pick(f"first token p{percent}"), "s")
                yield series(f"chat of {n_clients}: inter-token p{percent}", pick(f"inter-token p{percent}"), "ms")
            uneven = [[one["inter-token p99"] / one["inter-token p50"] for one in of_server] for of_server in rounds]
            yield series(f"chat of {n_clients}: inter-token p99 by p50", uneven, "times")


def prefix_round(rig, server, nth):
    """Seconds to the first token, p50, of clients that share a prefix: nobody has asked with it before, and then again."""
    shared = prompts.tokens(7000 + nth, rig.few(1000, 64))
    n = rig.few(SLOTS, 4)

    def once(salt):
        bodies = [prompts.completion(shared + prompts.tokens(salt + at, 16), 8, cache_prompt=True) for at in range(n)]
        outcomes = load.accepted(load.run(server.address, [[load.request("/v1/completions", body)] for body in bodies]))
        return figures.percentile([one.first_s for one in outcomes], 50)

    return once(8000 + nth * 100), once(8050 + nth * 100)


def prefix(rig):
    with rig.both(FILE, CONTEXT, SLOTS) as servers:
        agree(rig, servers, FILE)
        rounds = in_turns(rig, servers, lambda server, nth: prefix_round(rig, server, nth))
    for at, state in enumerate(("cold", "warm")):
        yield series(f"shared prefix, {state}: first token p50", [[pair[at] for pair in of_server] for of_server in rounds], "s")


def crowd(rig, server, nth, n_clients):
    """All at once, one request each."""
    bodies = [prompts.completion(prompts.tokens(20_000 + nth * 500 + at, 32), rig.few(64, 8)) for at in range(n_clients)]
    return load.run(server.address, [[load.request("/v1/completions", body)] for body in bodies], 3600)


def slowest(outcomes):
    """Milliseconds between the tokens of the accepted stream that has the longest ones, as its mean."""
    streams = [one for one in outcomes if one.answer.status == 200]
    return max(1000 * (one.answer.text_times[-1] - one.answer.text_times[0]) / (one.n_tokens - 1) for one in streams)


def overload(rig):
    """More clients than there are places and a queue for: Alcazar's answer alone, llama.cpp's server takes all."""
    calm, crowded, refusals = [], [], []
    with rig.alone(FILE, CONTEXT, SLOTS, ("--max-queued", "64")) as server:
        for nth in range(rig.rounds + 1):
            few, many = crowd(rig, server, 2 * nth, 64), crowd(rig, server, 2 * nth + 1, 200)
            refused = [one for one in many if one.answer.status != 200]
            others = [one.answer.status for one in refused if one.answer.status != 429]
            if others or not refused:
                raise RuntimeError(f"of 200 clients {len(refused)} were refused, {others} otherwise than with 429")
            load.accepted(few)
            if nth:
                calm.append(slowest(few))
                crowded.append(slowest(many))
                refusals.append(max(1000 * (one.answer.head_at - one.asked_at) for one in refused))
                rig.keep("overload", {"accepted": len(many) - len(refused), "refused": len(refused)})
    yield Series("slowest accepted stream of 200", "ms", crowded, "of 64", calm)
    yield Series("last refusal of 200", "ms", refusals)
