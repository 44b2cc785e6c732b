// Reranks with the clients of package.json, unchanged but for their address, against a running server. Every client must give
// each document the relevance that a plain request gives it. usage: node check.js http://HOST:PORT
import { readFileSync } from 'node:fs'
import { CohereClient, CohereClientV2 } from 'cohere-ai'
import { CohereRerank } from '@langchain/cohere'
import { createCohere } from '@ai-sdk/cohere'
import { createTogetherAI } from '@ai-sdk/togetherai'
import { rerank } from 'ai'
import OpenAI from 'openai'

const base = process.argv[2]
const query = 'What is the capital of China?'
const documents = ['The capital of China is Beijing.', 'Gravity attracts two bodies to each other.', 'Paris is the capital of France.']

const post = async (path, body) => (await fetch(base + path, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) })).json()
const plain = (await post('/v1/rerank', { query, documents })).results
const check = (ok, got) => { if (!ok) throw new Error(JSON.stringify(got)) }
// Another step may hold the pair the second time: so the last digits of float32 may differ.
const near = (got, want) => Math.abs(got - want) < 1e-5
const same = (got, most = documents.length) => check(got.length === most && got.every(([i, s], k) => i === plain[k].index && near(s, plain[k].relevance_score)), got)

const checks = {
  'cohere-ai: v2': async () => same((await new CohereClientV2({ token: 'none', environment: base }).rerank({ model: 'm', query, documents, topN: 2 })).results.map(r => [r.index, r.relevanceScore]), 2),
  'cohere-ai: v1': async () => same((await new CohereClient({ token: 'none', environment: base }).rerank({ model: 'm', query, documents })).results.map(r => [r.index, r.relevanceScore])),
  '@langchain/cohere: rerank': async () => {
    const client = new CohereClient({ token: 'none', environment: base })
    same((await new CohereRerank({ client, model: 'm', topN: 3 }).rerank(documents, query)).map(r => [r.index, r.relevanceScore]))
  },
  '@ai-sdk/cohere: rerank': async () => {
    const { ranking } = await rerank({ model: createCohere({ apiKey: 'none', baseURL: base + '/v2' }).reranking('m'), query, documents })
    same(ranking.map(r => [r.originalIndex, r.score]))
  },
  '@ai-sdk/togetherai: rerank': async () => {
    const { ranking } = await rerank({ model: createTogetherAI({ apiKey: 'none', baseURL: base + '/v1' }).reranking('m'), query, documents })
    same(ranking.map(r => [r.originalIndex, r.score]))
  },
  'openai: models and post': async () => {
    const client = new OpenAI({ apiKey: 'none', baseURL: base + '/v1' })
    check((await client.models.list()).data.length === 1, 'models')
    const { data } = await client.post('/score', { body: { text_1: query, text_2: documents } })
    check(data.every(d => near(d.score, plain.find(r => r.index === d.index).relevance_score)), data)
    const refused = await client.post('/score', { body: { text_1: query, text_2: ['a', 1] } }).then(() => null, e => e)
    check(refused?.status === 400 && refused.param === 'text_2[1]', refused)
  },
}
for (const [name, run] of Object.entries(checks)) {
  const at = name.split(': ')[0]
  const { version } = JSON.parse(readFileSync(`node_modules/${at}/package.json`))
  try {
    await run()
    console.log(`${at} ${version}: ${name.split(': ')[1]}: works`)
  } catch (e) {
    process.exitCode = 1
    console.error(`${at} ${version}: ${name.split(': ')[1]}: FAILED: ${String(e).slice(0, 500)}`)
  }
}
