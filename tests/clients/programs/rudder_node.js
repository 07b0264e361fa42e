// The RudderStack client for Node. What to send is in the environment; errors go to stdout.
const Analytics = require('@rudderstack/rudder-sdk-node')

const errors = []
// It rejects a promise of its own on every failure, and Node ends a process for that.
process.on('unhandledRejection', (error) => errors.push(String(error.message ?? error)))
const analytics = new Analytics(process.env.WRITE_KEY, {
  dataPlaneUrl: process.env.HOST, flushAt: 50, flushInterval: 500, logLevel: 'error',
  errorHandler: (error) => errors.push(String(error.message ?? error)),
})
const pad = process.env.PAD
const rounds = Number(process.env.ROUNDS)
for (let n = 0; n < rounds; n++) {
  const userId = `u${n}`
  analytics.identify({ userId, traits: { n, name: 'Zoë 🦊 \u2028 北京', note: pad } })
  analytics.track({ userId, event: 'Ürün görüldü', properties: { n, price: 12.5, colours: ['rot', 'grün'] } })
  analytics.page({ userId, category: 'Shop', name: 'Stühle', properties: { n, url: 'https://shop.example/?q=ü' } })
  analytics.screen({ userId, category: 'App', name: 'Корзина', properties: { n } })
  analytics.group({ userId, groupId: `g${n}`, traits: { n, plan: 'größer' } })
  analytics.alias({ userId, previousId: `before-${n}` })
}
// flush() says nothing of batches that are on their way: wait until the queue has been quiet for a while.
async function quiet() {
  for (let calm = 0; calm < 4; calm = analytics.queue.length === 0 && !analytics.flushing ? calm + 1 : 0) {
    try { await analytics.flush() } catch (error) { errors.push(String(error.message ?? error)) }
    await new Promise((done) => setTimeout(done, 250))
  }
}
quiet().then(() => { console.log(JSON.stringify({ errors })); process.exit(0) })
