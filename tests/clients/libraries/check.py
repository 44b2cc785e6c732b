"""Reranks and classifies with clients of PyPI, unchanged but for their address, against
running servers. Every client must give each document the relevance and the classes that a
plain request gives it. The second address is a classifier's.
usage: check.py http://HOST:PORT http://HOST:PORT PACKAGE..."""

import asyncio
import importlib.metadata
import json
import math
import os
import sys
import urllib.error
import urllib.request

base, classifier = sys.argv[1:3]
query = "What is the capital of China?"
documents = ["The capital of China is Beijing.", "Gravity attracts two bodies to each other.", "Paris is the capital of France."]
os.environ.update(LITELLM_LOCAL_MODEL_COST_MAP="True", LITELLM_TELEMETRY="False", HAYSTACK_TELEMETRY_ENABLED="False",
                  NVIDIA_API_KEY="none", COHERE_API_KEY="none", CO_API_KEY="none")


def post(path, body, base=base):
    request = urllib.request.Request(base + path, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def plain(raw):
    """The relevance of each document, and their order."""
    results = post("/v1/rerank", {"query": query, "documents": documents, "raw_scores": raw})["results"]
    return {r["index"]: r["relevance_score"] for r in results}, [r["index"] for r in results]


probability, order = plain(False)
logit, _ = plain(True)


def same(got, want=probability, most=len(documents)):
    """got is pairs of index and score, best first."""
    got = [(int(i), float(s)) for i, s in got]
    assert [i for i, _ in got] == order[:most], (got, order)
    assert all(near(s, want[i]) for i, s in got), (got, want)


def near(got, want):
    """Another step may hold the pair the second time: so the last digits of float32 may
    differ."""
    return math.isclose(got, want, rel_tol=1e-4, abs_tol=1e-7)


def at(text):
    return documents.index(text)


def cohere_v2():
    import cohere
    answer = cohere.ClientV2(api_key="none", base_url=base).rerank(model="m", query=query, documents=documents, top_n=2)
    same([(r.index, r.relevance_score) for r in answer.results], most=2)
    assert answer.meta.billed_units.search_units == 1, answer


def cohere_v1():
    import cohere
    answer = cohere.Client(api_key="none", base_url=base).rerank(model="m", query=query, documents=[{"title": d} for d in documents],
                                                                 rank_fields=["title"], return_documents=True)
    assert len(answer.results) == 3 and answer.results[0].document.text.startswith("title: "), answer


def cohere_async():
    import cohere
    answer = asyncio.run(cohere.AsyncClientV2(api_key="none", base_url=base).rerank(model="m", query=query, documents=documents))
    same([(r.index, r.relevance_score) for r in answer.results])


def cohere_salted():
    import cohere
    answer = cohere.ClientV2(api_key="none", base_url=base).rerank(model="m", query=query, documents=documents,
                                                                   request_options={"additional_body_parameters": {"cache_salt": "tenant"}})
    same([(r.index, r.relevance_score) for r in answer.results])


def cohere_refused():
    import cohere
    try:
        cohere.ClientV2(api_key="none", base_url=base).rerank(model="m", query=query, documents=[])
    except cohere.errors.BadRequestError as e:
        assert "documents must be a list" in str(e.body), e.body
    else:
        raise AssertionError("no documents are no error")


def langchain_cohere():
    from langchain_cohere import CohereRerank
    ranker = CohereRerank(model="m", cohere_api_key="none", base_url=base, top_n=3)
    same([(r["index"], r["relevance_score"]) for r in ranker.rerank(documents, query)])


def langchain_nvidia():
    from langchain_core.documents import Document
    from langchain_nvidia_ai_endpoints import NVIDIARerank
    served = post_get("/v1/models")["data"][0]["id"]
    ranker = NVIDIARerank(model=served, base_url=base + "/v1", api_key="none", top_n=3, truncate="END", usage_telemetry_enabled=False)
    ranked = ranker.compress_documents(query=query, documents=[Document(page_content=d) for d in documents])
    same([(at(d.page_content), d.metadata["relevance_score"]) for d in ranked], logit)


def post_get(path):
    with urllib.request.urlopen(base + path) as answer:
        return json.load(answer)


def nodes():
    from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode
    return [NodeWithScore(node=TextNode(text=d)) for d in documents], QueryBundle(query)


def llama_index(ranker, want=probability):
    ranked = ranker.postprocess_nodes(*nodes())
    same([(at(n.node.text), n.score) for n in ranked], want)


def llama_index_cohere():
    from llama_index.postprocessor.cohere_rerank import CohereRerank
    llama_index(CohereRerank(api_key="none", model="m", top_n=3, base_url=base))


def llama_index_jina():
    from llama_index.postprocessor.jinaai_rerank import JinaRerank
    llama_index(JinaRerank(api_key="none", model="m", top_n=3, base_url=base + "/v1"))


def llama_index_tei():
    from llama_index.postprocessor.tei_rerank import TextEmbeddingInference
    llama_index(TextEmbeddingInference(base_url=base, top_n=3))


def llama_index_nvidia():
    from llama_index.postprocessor.nvidia_rerank import NVIDIARerank
    served = post_get("/v1/models")["data"][0]["id"]
    llama_index(NVIDIARerank(model=served, base_url=base + "/v1", api_key="none", top_n=3, truncate="END"), logit)


def haystack(ranker, want=probability):
    from haystack import Document
    ranked = ranker.run(query=query, documents=[Document(content=d) for d in documents])["documents"]
    same([(at(d.content), d.score) for d in ranked], want)


def haystack_cohere():
    from haystack.utils import Secret
    from haystack_integrations.components.rankers.cohere import CohereRanker
    haystack(CohereRanker(model="m", api_key=Secret.from_token("none"), api_base_url=base))


def haystack_tei():
    from haystack_integrations.components.rankers.huggingface_api import HuggingFaceTEIRanker
    haystack(HuggingFaceTEIRanker(url=base, token=None))
    haystack(HuggingFaceTEIRanker(url=base, token=None, raw_scores=True), logit)


def haystack_nvidia():
    from haystack.utils import Secret
    from haystack_integrations.components.rankers.nvidia import NvidiaRanker
    haystack(NvidiaRanker(model="m", api_url=base + "/v1", api_key=Secret.from_token("none"), truncate="END"), logit)


def rerankers_api(provider, path):
    from rerankers import Reranker
    ranked = Reranker("m", model_type="APIRanker", api_provider=provider, api_key="none", url=base + path, verbose=0).rank(query, documents)
    same([(r.doc_id, r.score) for r in ranked.results])


def rerankers_tei():
    rerankers_api("text-embeddings-inference", "/rerank")


def rerankers_cohere():
    rerankers_api("cohere", "/v1/rerank")


def rerankers_jina():
    rerankers_api("jina", "/v1/rerank")


def infinity():
    from infinity_client import Client
    from infinity_client.api.default import rerank
    from infinity_client.models import RerankInput
    answer = rerank.sync(client=Client(base_url=base), body=RerankInput(query=query, documents=documents, model="m", return_documents=False))
    same([(r.index, r.relevance_score) for r in answer.results])


def litellm(model, want=probability, **more):
    import litellm
    answer = litellm.rerank(model=model, query=query, documents=documents, api_key="none", **{"api_base": base, **more})
    same([(r["index"], r["relevance_score"]) for r in answer.results], want, more.get("top_n") or len(documents))


def litellm_vllm():
    litellm("hosted_vllm/m")


def litellm_cohere():
    litellm("cohere/m", api_base=base + "/v2/rerank", top_n=2)


def litellm_jina():
    litellm("jina_ai/m", api_base=base + "/v1/rerank")


def litellm_infinity():
    litellm("infinity/m", return_documents=False)


def litellm_huggingface():
    litellm("huggingface/m")
    litellm("huggingface/m", return_documents=False, top_n=2)


def litellm_nim():
    litellm("nvidia_nim/ranking/m", logit)
    litellm("nvidia_nim/ranking/m", logit, top_n=2)


def openai_client():
    import httpx
    import openai
    client = openai.OpenAI(base_url=base + "/v1", api_key="none")
    assert len(client.models.list().data) == 1
    pairs = client.post("/score", body={"text_1": query, "text_2": documents}, cast_to=httpx.Response).json()
    assert len(pairs["data"]) == len(documents) and all(near(d["score"], probability[d["index"]]) for d in pairs["data"]), pairs
    salted = client.post("/score", body={"text_1": query, "text_2": documents, "cache_salt": "tenant"}, cast_to=httpx.Response).json()
    assert all(near(d["score"], probability[d["index"]]) for d in salted["data"]), salted
    try:
        client.post("/score", body={"text_1": query, "text_2": documents, "cache_salt": ""}, cast_to=httpx.Response)
    except openai.BadRequestError as e:
        assert e.param == "cache_salt", e
    else:
        raise AssertionError("an empty salt is no error")
    try:
        client.post("/score", body={"text_1": query, "text_2": ["a", 1]}, cast_to=httpx.Response)
    except openai.BadRequestError as e:
        assert e.param == "text_2[1]" and "text_2[1] must be" in e.message, e
    else:
        raise AssertionError("a number is no error")


def classes(raw=False):
    """For each document its classes with their scores, best first."""
    return [[(c["label"], c["score"]) for c in row] for row in post("/predict", {"inputs": [[d] for d in documents], "raw_scores": raw}, classifier)]


def same_classes(got, want):
    """Both are lists of label and score, by document."""
    assert [[label for label, _ in row] for row in got] == [[label for label, _ in row] for row in want], (got, want)
    assert all(near(g, w) for row, wanted in zip(got, want) for (_, g), (_, w) in zip(row, wanted)), (got, want)


def openai_classify():
    import httpx
    import openai
    client = openai.OpenAI(base_url=classifier + "/v1", api_key="none")
    answer = client.post("/classify", body={"model": "m", "input": documents}, cast_to=httpx.Response).json()
    want = classes()
    for i, data in enumerate(answer["data"]):
        assert data["index"] == i and data["num_classes"] == 3 and data["label"] == want[i][0][0], (data, want)
        assert all(near(g, w) for g, (_, w) in zip(sorted(data["probs"], reverse=True), want[i])), (data, want)
    try:
        client.post("/classify", body={"input": ["a", 1]}, cast_to=httpx.Response)
    except openai.BadRequestError as e:
        assert e.param == "input[1]" and "input[1] must be" in e.message, e
    else:
        raise AssertionError("a number is no error")


def baseten(url):
    from baseten_performance_client import PerformanceClient
    return PerformanceClient(base_url=url, api_key="none")


def baseten_rerank():
    same([(r.index, r.score) for r in baseten(base).rerank(query=query, texts=documents).data])


def baseten_classify():
    same_classes([[(c.label, c.score) for c in row] for row in baseten(classifier).classify(inputs=documents).data], classes())
    same_classes([[(c.label, c.score) for c in row] for row in baseten(classifier).classify(inputs=documents, raw_scores=True).data], classes(True))


def huggingface_hub():
    """It takes the first element of TEI's answer, which is the best class."""
    from huggingface_hub import InferenceClient
    client = InferenceClient(model=classifier + "/predict", token="none")
    best = [client.text_classification(d) for d in documents]
    same_classes([[(c.label, c.score)] for c in best], [row[:1] for row in classes()])


checks = {package: functions for package, *functions in [("cohere", cohere_v2, cohere_v1, cohere_async, cohere_salted, cohere_refused), ("langchain-cohere", langchain_cohere), ("langchain-nvidia-ai-endpoints", langchain_nvidia),
          ("llama-index-postprocessor-cohere-rerank", llama_index_cohere), ("llama-index-postprocessor-jinaai-rerank", llama_index_jina),
          ("llama-index-postprocessor-tei-rerank", llama_index_tei), ("llama-index-postprocessor-nvidia-rerank", llama_index_nvidia),
          ("cohere-haystack", haystack_cohere), ("huggingface-api-haystack", haystack_tei), ("nvidia-haystack", haystack_nvidia),
          ("rerankers", rerankers_tei, rerankers_cohere, rerankers_jina), ("infinity-client", infinity),
          ("litellm", litellm_vllm, litellm_cohere, litellm_jina, litellm_infinity, litellm_huggingface, litellm_nim), ("openai", openai_client, openai_classify),
          ("baseten-performance-client", baseten_rerank, baseten_classify), ("huggingface-hub", huggingface_hub)]}
failed = 0
for package in sys.argv[3:]:
    for check in checks[package]:
        name = f"{package} {importlib.metadata.version(package)}: {check.__name__}"
        try:
            check()
            print(f"{name}: works")
        except Exception as e:  # a client may raise anything
            failed += 1
            print(f"{name}: FAILED: {type(e).__name__}: {str(e)[:500]}", file=sys.stderr)
sys.exit(failed != 0)
