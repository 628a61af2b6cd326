// Two clients nobody here wrote (Baileys) and two phones exchange messages over a running simulator.
// Usage: node messages.mjs [--texts 1000] [--socket ws://127.0.0.1:9500/ws/chat] [--control http://127.0.0.1:9501]
//   [--berth http://127.0.0.1:8080 --key KEY]: a session of a running berth exchanges messages with the clients, too.
// Prints one line a step and ends with 0 only when every step went as it should. See ../README.md.
import { baileys, connect, control, expect, finish, holds, newAuth, option } from './client.mjs'

const TEXTS = Number(option('texts', '1000'))
const jid = number => `${number}@s.whatsapp.net`
const text = m => m.message?.conversation ?? m.message?.extendedTextMessage?.text ?? m.message?.editedMessage?.message?.protocolMessage?.editedMessage?.conversation

// A device of a phone: what it received and sent, and the levels of what it sent.
const link = async (number, name) => {
  const auth = newAuth()
  const device = { number, auth, got: [], levels: new Map(), sent: new Map() }
  expect(`phone ${name} is there`, [200, 201].includes((await control('/phones', { number, name })).status))
  const first = connect(auth)
  const { qr } = await first.until('qr', u => u.qr)
  const scanned = await control(`/phones/${number}:scan`, { qr })
  expect(`${name} is scanned`, scanned.status, 200)
  device.id = scanned.body.id
  await first.closed()
  await open(device)
  return device
}
const open = async device => {
  const settings = { getMessage: async key => device.sent.get(key.id) }
  device.connection = connect(device.auth, settings)
  device.sock = device.connection.sock
  device.sock.ev.on('messages.upsert', ({ messages }) => {
    for (const m of messages) if (m.message && !m.message.protocolMessage?.historySyncNotification && !m.message.protocolMessage?.appStateSyncKeyShare) device.got.push(m)
  })
  device.sock.ev.on('messages.update', updates => {
    for (const { key, update } of updates) {
      if (update.status) device.levels.set(key.id, Math.max(update.status, device.levels.get(key.id) ?? 0))
      if (update.message && !update.messageStubType) device.got.push({ key, message: update.message, updated: true })
    }
  })
  await device.connection.open()
}
const send = async (device, to, content, options) => {
  const m = await device.sock.sendMessage(jid(to), content, options)
  device.sent.set(m.key.id, m.message)
  return m.key.id
}
const texts = (device, from) => device.got.filter(m => !m.key.fromMe && !m.updated && m.key.remoteJid.startsWith(from)).map(text).filter(t => t !== undefined)
const shown = async (number, query = '') => (await control(`/phones/${number}/messages${query}`)).body.messages
const has = (device, id) => holds(() => device.got.some(m => m.key.id === id && m.message))
const level = (device, id, want) => holds(() => (device.levels.get(id) ?? 0) >= want)
const { DELIVERY_ACK, READ } = baileys.proto.WebMessageInfo.Status

const [ann, bob] = ['15550007101', '15550007102']
const anns = await link(ann, 'Ann')
const bobs = await link(bob, 'Bob')

// --- texts, receipts, own echoes -------------------------------------------------------------------------------
const hello = await send(anns, bob, { text: 'hello' })
expect('a text reaches the other client', await has(bobs, hello))
expect('a text reaches the phone', await holds(async () => (await shown(bob, `?id=${hello}`))[0]?.text === 'hello'))
expect('the own phone shows the text as own', await holds(async () => (await shown(ann, `?id=${hello}`))[0]?.fromMe))
expect('it is delivered', await level(anns, hello, DELIVERY_ACK))
expect('the phone reads it', (await control(`/phones/${bob}/messages/${hello}:read`, {})).status, 200)
expect('it is read', await level(anns, hello, READ))
const typed = (await control(`/phones/${bob}/messages`, { to: ann, text: 'from the phone' })).body.id
expect('a text of a phone reaches the other client', await has(anns, typed))
expect('a text of a phone reaches its own client', await holds(() => bobs.got.some(m => m.key.id === typed && m.key.fromMe && m.key.remoteJid === jid(ann))))
const before = [anns, bobs].map(d => texts(d, d === anns ? bob : ann).length)
await Promise.all([[anns, bob, 'a'], [bobs, ann, 'b']].map(async ([device, to, prefix]) => {
  for (let n = 0; n < TEXTS; n++) device.last = await send(device, to, { text: `${prefix}${n}` })
}))
for (const [device, from, at, prefix] of [[bobs, ann, 1, 'a'], [anns, bob, 0, 'b']]) {
  expect(`${TEXTS} texts arrive`, await holds(() => texts(device, from).length >= before[at] + TEXTS, 120))
  expect('in their order, once', texts(device, from).slice(before[at]), Array.from({ length: TEXTS }, (_, n) => `${prefix}${n}`))
}
for (const device of [anns, bobs]) {
  expect('the last one is delivered', await level(device, device.last, DELIVERY_ACK))
  const levels = [...device.sent.keys()].filter(id => (device.levels.get(id) ?? 0) < DELIVERY_ACK)
  expect('all are delivered', await holds(() => levels.every(id => (device.levels.get(id) ?? 0) >= DELIVERY_ACK), 30))
}

// --- one id, once ----------------------------------------------------------------------------------------------
const content = { extendedTextMessage: { text: 'twice' } }
for (let n = 0; n < 2; n++) await anns.sock.relayMessage(jid(bob), content, { messageId: 'SAMEID01' })
const marker = await send(anns, bob, { text: 'marker' })
await has(bobs, marker)
expect('a repeated id is shown once', (await shown(bob, '?id=SAMEID01')).length, 1)

// --- other kinds -----------------------------------------------------------------------------------------------
const kind = async (number, id, want) => holds(async () => (await shown(number, `?id=${id}`))[0]?.kind === want)
expect('the phone shows a reaction', await kind(bob, await send(anns, bob, { react: { text: '+', key: { remoteJid: jid(bob), fromMe: false, id: typed } } }), 'reaction'))
expect('the phone shows an edit', await kind(bob, await send(anns, bob, { text: 'hello, edited', edit: { remoteJid: jid(bob), fromMe: true, id: hello } }), 'edit'))
expect('the phone shows a deletion', await kind(bob, await send(anns, bob, { delete: { remoteJid: jid(bob), fromMe: true, id: hello } }), 'revoke'))
expect('the phone shows a poll', await kind(bob, await send(anns, bob, { poll: { name: 'Tea?', values: ['yes', 'no'], selectableCount: 1 } }), 'poll'))
expect('the phone shows a place', await kind(bob, await send(anns, bob, { location: { degreesLatitude: 1, degreesLongitude: 2 } }), 'location'))
for (const content of [
  { kind: 'image', caption: 'a view' }, { kind: 'location', latitude: 1, longitude: 2 }, { kind: 'contact', name: 'Cleo' },
  { kind: 'poll', name: 'Tea?', options: ['yes', 'no'] }, { kind: 'reaction', target: marker, emoji: '+' }
]) {
  const { id } = (await control(`/phones/${bob}/messages`, { to: ann, content })).body
  expect(`the client gets the kind ${content.kind}`, await has(anns, id))
}

// --- retries ---------------------------------------------------------------------------------------------------
await control(`/phones/${bob}:forget-sessions`, {})
const undecryptable = await send(anns, bob, { text: 'again, please' })
expect('forgotten sessions end in a readable message', await holds(async () => (await shown(bob, `?id=${undecryptable}`))[0]?.readable, 5))
const garbled = (await control(`/phones/${bob}/messages`, { to: ann, text: 'garbled', garbled: true })).body.id
expect('the phone encrypts a garbled message again', await has(anns, garbled))

// --- offline ---------------------------------------------------------------------------------------------------
anns.sock.end(undefined)
expect('the client is away', await holds(async () => !(await control(`/phones/${ann}`)).body.devices[0].connected))
const missed = Array.from({ length: 300 }, (_, n) => `missed ${n}`)
expect('300 texts are written meanwhile', (await control(`/phones/${bob}/messages:bulk`, { to: ann, texts: missed })).status, 201)
anns.got.length = 0
await open(anns)
expect('all 300 arrive', await holds(() => texts(anns, bob).length >= 300, 60))
expect('in their order, once', texts(anns, bob), missed)

// --- berth -----------------------------------------------------------------------------------------------------
const BERTH = option('berth', '')
if (BERTH) {
  const api = async (path, body, method = body ? 'POST' : 'GET') => {
    const headers = { authorization: `Bearer ${option('key', '')}`, 'content-type': method === 'PATCH' ? 'application/merge-patch+json' : 'application/json' }
    const answer = await fetch(`${BERTH}/api/v1/sessions${path}`, { method, headers, body: body && JSON.stringify(body) })
    return { status: answer.status, body: await answer.json() }
  }
  const cleo = '15550007103'
  expect('phone Cleo is there', [200, 201].includes((await control('/phones', { number: cleo, name: 'Cleo' })).status))
  const { id } = (await api('', { label: 'Cleo', start: true })).body
  const code = (await api(`/${id}/qr?wait=20`)).body.code
  expect('the QR code of berth is scanned', (await control(`/phones/${cleo}:scan`, { qr: code })).status, 200)
  if (!code) throw new Error('no QR code')
  expect('berth is connected', await holds(async () => (await api(`/${id}`)).body.status === 'working', 30))
  await api(`/${id}`, { ratePerMin: 0, ratePerHour: 0 }, 'PATCH')
  const status = async (wa, want) => holds(async () => (await api(`/${id}/messages/${wa}`)).body.status === want, 20)
  const count = Math.min(TEXTS, 100)
  for (const [device, number] of [[anns, ann], [bobs, bob]]) {
    const sent = []
    for (let n = 0; n < count; n++) {
      const { status, body } = await api(`/${id}/messages`, { to: number, text: `berth ${n}`, typing: 0 })
      if (status !== 200) expect('berth sends a text', status, 200)
      sent.push(body.waMessageId)
    }
    expect(`${count} texts of berth arrive`, await holds(() => texts(device, cleo).length >= count, 60))
    expect('in their order, once', texts(device, cleo), sent.map((_, n) => `berth ${n}`))
    expect('berth knows that the last one is delivered', await status(sent.at(-1), 'delivered'))
    await device.sock.readMessages([{ remoteJid: jid(cleo), id: sent.at(-1), fromMe: false }])
    expect('berth knows that it is read', await status(sent.at(-1), 'read'))
    const written = []
    for (let n = 0; n < count; n++) written.push(await send(device, cleo, { text: `client ${n}` }))
    const list = async () => (await api(`/${id}/chats/${number}/messages?direction=in&limit=200`)).body.data
    expect(`${count} texts arrive at berth`, await holds(async () => (await list()).length >= count, 60))
    expect('in their order, once', (await list()).map(m => m.waMessageId).reverse(), written)
    await api(`/${id}/chats/${number}/read`, {})
    expect('the client knows that berth has read', await level(device, written.at(-1), READ))
  }
  const unreadable = await (async () => {
    await control(`/phones/${cleo}:forget-sessions`, {})
    return (await api(`/${id}/messages`, { to: ann, text: 'again', typing: 0 })).body.waMessageId
  })()
  expect('a text of berth arrives after the phone forgot its sessions', await has(anns, unreadable))
  expect('berth is unlinked', (await api(`/${id}:logout`, {})).status, 200)
}

finish()
