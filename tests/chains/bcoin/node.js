'use strict';

// bcoin on regtest, at the port of its first argument, mining for the address of its second. It keeps nothing.
const {regtest} = require('bcoin/lib/protocol/networks');

// Addresses there have prefixes of its own, which nobody else reads.
Object.assign(regtest.addressPrefix, {pubkeyhash: 0x6f, scripthash: 0xc4, bech32: 'bcrt'});

const {FullNode} = require('bcoin');
const [port, miner] = process.argv.slice(2);
const node = new FullNode({
  network: 'regtest',
  memory: true,
  workers: false,
  listen: false,
  indexTx: true,
  httpHost: '127.0.0.1',
  httpPort: Number(port),
  apiKey: 'p',
  logLevel: 'none',
});

// What it refuses, it also says to whoever asked, or is looked for in vain.
node.on('error', () => {});

async function start() {
  await node.ensure();
  await node.open();
  node.miner.addAddress(miner);
  await node.connect();
}

start().catch(() => process.exit(1));
