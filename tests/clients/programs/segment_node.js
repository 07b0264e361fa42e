// The Segment client for Node. What to send is in the environment; errors go to stdout.
const { Analytics } = require('@segment/analytics-node')

const errors = []
const analytics = new Analytics({ writeKey: process.env.WRITE_KEY, host: process.env.HOST, flushAt: 50, flushInterval: 500 })
analytics.on('error', (error) => errors.push(String(error.reason?.message ?? error.reason ?? error.code)))
const pad = process.env.PAD
for (let n = 0; n < Number(process.env.ROUNDS); n++) {
  const userId = `u${n}`
  analytics.identify({ userId, traits: { n, name: 'Zoë 🦊 \u2028 北京', note: pad } })
  analytics.track({ userId, event: 'Ürün görüldü', properties: { n, price: 12.5, colours: ['rot', 'grün'] } })
  analytics.page({ userId, category: 'Shop', name: 'Stühle', properties: { n, url: 'https://shop.example/?q=ü' } })
  analytics.screen({ userId, category: 'App', name: 'Корзина', properties: { n } })
  analytics.group({ userId, groupId: `g${n}`, traits: { n, plan: 'größer' } })
  analytics.alias({ userId, previousId: `before-${n}` })
}
analytics.closeAndFlush().then(() => console.log(JSON.stringify({ errors })))
