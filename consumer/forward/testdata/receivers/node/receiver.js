// A receiver in the shape of Zorio's sample for Node: Express and ioredis. Like that one it takes bodies of up to 100 kB,
// which is Express's default, and answers 413 to larger ones.
import crypto from 'node:crypto'
import express from 'express'
import Redis from 'ioredis'

const redis = new Redis(process.env.REDIS_URL)
const secret = process.env.ZORIO_WEBHOOK_SECRET
const app = express()

app.post('/webhook', express.raw({ type: 'application/json' }), async (req, res) => {
  res.type('text/plain')
  const sent = Number(req.get('X-Zorio-Timestamp'))
  if (!sent || Math.abs(Date.now() / 1000 - sent) > 300) return res.status(400).send('Stale timestamp')
  const expected = Buffer.from('sha256=' + crypto.createHmac('sha256', secret).update(req.body).digest('hex'))
  const given = Buffer.from(req.get('X-Zorio-Signature') ?? '')
  if (given.length !== expected.length || !crypto.timingSafeEqual(given, expected)) return res.status(401).send('Invalid signature')
  const delivery = req.get('X-Zorio-Delivery')
  const fresh = await redis.set('zorio:delivery:' + delivery, '1', 'EX', 86400, 'NX')
  if (!fresh) return res.send('Duplicate')
  const { event } = JSON.parse(req.body)
  if (event !== req.get('X-Zorio-Event')) return res.status(422).send('Another event')
  console.log('took', delivery, event)
  res.send('OK')
})

app.listen(process.env.PORT, '127.0.0.1')
