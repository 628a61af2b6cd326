// What both checks share: the control interface of the simulator, and Baileys as it comes.
// Only the pinned root key differs from stock Baileys.
import makeWASocket, * as baileys from 'baileys'
import { WA_CERT_DETAILS } from 'baileys/lib/Defaults/index.js'
import pino from 'pino'

export { baileys }

export const option = (name, otherwise) => {
  const at = process.argv.indexOf(`--${name}`)
  return at < 0 ? otherwise : process.argv[at + 1]
}
const SOCKET = option('socket', 'ws://127.0.0.1:9500/ws/chat')
const CONTROL = option('control', 'http://127.0.0.1:9501')
const LEVEL = option('log', 'silent')

// The one thing that is not as it comes: which root the client trusts.
const { publicKey } = await (await fetch(`${CONTROL}/trust-anchor`)).json()
WA_CERT_DETAILS.PUBLIC_KEY = Buffer.from(publicKey, 'hex')

export const control = async (path, body, method) => {
  const answer = await fetch(`${CONTROL}${path}`, body === undefined && !method ? {} : {
    method: method ?? 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body ?? {})
  })
  return { status: answer.status, body: await answer.json() }
}

export const complaints = []
export const expect = (what, is, want = true) => {
  const good = JSON.stringify(is) === JSON.stringify(want)
  const short = value => JSON.stringify(value)?.slice(0, 300)
  console.log(`${good ? 'ok  ' : 'FAIL'} ${what}${good ? '' : `: ${short(is)}, not ${short(want)}`}`)
  if (!good) complaints.push(what)
}

// Whatever the client itself calls an error or a warning is kept, to be shown at the end.
export const spoken = []
const logger = pino({ level: 'trace' }, {
  write: line => {
    const entry = JSON.parse(line)
    if (entry.level >= 40) spoken.push(`${entry.level >= 50 ? 'error' : 'warn'} ${entry.msg} ${JSON.stringify(entry.err ?? entry.error ?? entry.trace ?? entry.attrs ?? '').slice(0, 300)}`)
    if (LEVEL === 'trace' || (LEVEL === 'info' && entry.level >= 30)) console.log(`     ${line.trim().slice(0, 400)}`)
  }
})

export const newAuth = () => {
  const store = new Map()
  return {
    creds: baileys.initAuthCreds(),
    keys: {
      get: async (type, ids) => Object.fromEntries(ids.map(id => [id, store.get(`${type}/${id}`)]).filter(([, v]) => v)),
      set: async data => {
        for (const type in data) for (const id in data[type]) {
          const value = data[type][id]
          value ? store.set(`${type}/${id}`, value) : store.delete(`${type}/${id}`)
        }
      }
    }
  }
}

// One connection; `until` resolves with the first update that fits.
export const connect = (auth, settings = {}) => {
  const sock = makeWASocket({ auth, logger, waWebSocketUrl: SOCKET, keepAliveIntervalMs: 10_000, ...settings })
  const seen = [], waiting = []
  sock.ev.on('creds.update', update => Object.assign(auth.creds, update))
  sock.ev.on('connection.update', update => {
    seen.push(update)
    for (const waiter of [...waiting]) waiter()
  })
  const until = (what, fits, seconds = 30) => new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no ${what} in ${seconds} s`)), seconds * 1000)
    const look = () => {
      const found = seen.find(fits)
      if (!found) return
      waiting.splice(waiting.indexOf(look), 1)
      clearTimeout(timer)
      resolve(found)
    }
    waiting.push(look)
    look()
  })
  const closed = seconds => until('close', u => u.connection === 'close', seconds)
    .then(u => u.lastDisconnect?.error?.output?.statusCode)
  return { sock, seen, until, closed, open: () => until('open', u => u.connection === 'open') }
}
export const devices = async number => (await control(`/phones/${number}`)).body.devices
export const wait = ms => new Promise(resolve => setTimeout(resolve, ms))
export const holds = async (isSo, seconds = 10) => {
  for (const end = Date.now() + seconds * 1000; Date.now() < end;) {
    if (await isSo()) return true
    await wait(20)
  }
  return false
}
export const shows = (number, fits) => holds(async () => fits(await devices(number)), 5)

export const finish = () => {
  console.log(`\nwhat the client itself complained of (${spoken.length}):`)
  for (const line of spoken) console.log(`     ${line}`)
  console.log(complaints.length ? `\n${complaints.length} FAILED` : '\nall went well')
  process.exit(complaints.length ? 1 : 0)
}
