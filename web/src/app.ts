/** What the panels act through: the store, the chain, the relay, the wallet. */

import { TransactionReceiptNotFoundError, parseSignature, toHex, zeroAddress, type Abi, type Address, type Hex } from "viem";

import { accountsOf, chainIdOf, discover, switchChain, walletClient, type Announced, type Provider } from "./wallet.ts";
import { Reader, clientOf, watchHead } from "./chain.ts";
import { loadDelegate, type Delegate } from "./delegate.ts";
import { explain } from "./errors.ts";
import { signed } from "./format.ts";
import { clearinghouseAbi, settlementAbi, tokenAbi, vaultAbi, fundAbi } from "./generated/abi.ts";
import { accountId, domainOf, newSalt, typedCancel, typedOrder, type Order } from "./order.ts";
import { Relay, RelayError, updated, type RelayOrder, type StreamMessage } from "./relay.ts";
import type { Action, Store } from "./state.ts";

const PERMIT_SECONDS = 1_800n;
const KEPT_ACTIONS = 6;
/** Wei: what a local node gives somebody who has less. */
const LOCAL_COINS = 10n ** 18n;

export interface ContractCall {
  address: Address;
  abi: Abi;
  functionName: string;
  args: readonly unknown[];
}

export class App {
  readonly relay: Relay;
  reader: Reader | null = null;
  delegate: Delegate | null = null;
  private nextAction = 1;
  private looks = 0;
  private looked = 0;
  private endBlocks: (() => void) | null = null;
  private endStream: (() => void) | null = null;

  constructor(readonly store: Store) {
    this.relay = new Relay(store.state.config.relay);
  }

  get config() {
    return this.store.state.config;
  }

  start(): void {
    this.follow(null);
    discover((wallets) => {
      this.store.set({ wallets });
      const last = localStorage.getItem("ballast:wallet");
      const known = wallets.find((wallet) => wallet.info.rdns === last);
      if (known && !this.store.state.wallet) void this.connect(known, false).catch(() => undefined);
    });
    this.choose(this.store.state.market);
  }

  // The chain

  private follow(provider: Provider | null): void {
    this.endBlocks?.();
    const client = clientOf(this.config, provider);
    this.reader = client ? new Reader(client, this.config) : null;
    if (!client) return;
    this.endBlocks = watchHead(
      client,
      (block, head) => {
        this.store.set({ block, head });
        void this.look();
        void this.lookAtRelay();
      },
      (error) => this.store.set({ chainError: explain(error).detail }),
    );
  }

  /** Read everything anew. */
  async look(): Promise<void> {
    const { reader } = this;
    const { account, owner } = this.store.state;
    if (!reader) return;
    const look = (this.looks += 1);
    try {
      const [markets, fund, view] = await Promise.all([
        Promise.all(this.config.markets.map(async ({ market }) => [market, await reader.market(market)] as const)),
        reader.fund(owner),
        account && owner ? reader.account(account, owner) : null,
      ]);
      await this.checkDelegate(reader, account);
      await this.checkActions(reader);
      if (this.store.state.account !== account || look < this.looked) return;
      this.looked = look;
      this.store.set({ markets: Object.fromEntries(markets), fund, view, chainError: null });
    } catch (error) {
      this.store.set({ chainError: explain(error).detail });
    }
  }

  /** What was done may be undone by a reorganisation of the chain. */
  private async checkActions(reader: Reader): Promise<void> {
    for (const { id, stage, transaction } of this.store.state.actions) {
      if (stage !== "done" || !transaction) continue;
      try {
        await reader.client.getTransactionReceipt({ hash: transaction });
      } catch (error) {
        if (!(error instanceof TransactionReceiptNotFoundError)) throw error;
        this.change(id, { stage: "failed", title: "Undone", detail: "The chain was reorganised, and the block of this transaction is no longer part of it. The figures on this page are those of the chain as it is now. The transaction may be mined again; if it is not, do it again." });
      }
    }
  }

  private change(id: number, change: Partial<Action>): void {
    this.store.set({ actions: this.store.state.actions.map((action) => (action.id === id ? { ...action, ...change } : action)) });
  }

  private async checkDelegate(reader: Reader, account: Hex | null): Promise<void> {
    const kept = account ? loadDelegate(this.config, account) : null;
    if (!kept || !account) {
      this.delegate = null;
      return;
    }
    const expiry = await reader.delegateExpiry(account, kept.signer.address);
    this.delegate = expiry * 1_000n > BigInt(Date.now()) ? { ...kept, expiry } : null;
  }

  choose(market: number): void {
    this.store.set({ market, book: null, trades: [] });
    this.listen();
  }

  // The relay

  private listen(): void {
    this.endStream?.();
    if (!this.config.relayAnswered) return;
    const { market, account } = this.store.state;
    const channels = [`book:${market}`, `trades:${market}`, ...(account ? [`account:${account}`] : [])];
    this.endStream = this.relay.stream(channels, (message) => this.hear(message, market), (relayUp) => {
      this.store.set({ relayUp });
      if (!relayUp) return;
      void this.lookAtTrades(market);
      void this.lookAtRelay();
    });
  }

  private async lookAtTrades(market: number): Promise<void> {
    const trades = await this.relay.trades(market).catch(() => null);
    if (trades && this.store.state.market === market) this.store.set({ trades });
  }

  private hear(message: StreamMessage, market: number): void {
    const { book, trades } = this.store.state;
    if (message.type === "snapshot") {
      this.store.set({ book: { market, seq: message.seq ?? 0, bids: message.bids ?? [], asks: message.asks ?? [] } });
    } else if (message.type === "update" && book) {
      const next = updated(book, message);
      if (next) this.store.set({ book: next });
      else this.listen();
    } else if (message.type === "trades" && message.trades) {
      this.store.set({ trades: [...[...message.trades].reverse(), ...trades].slice(0, 50) });
    } else if (message.type === "undone") {
      this.listen();
    } else if (message.type === "order" || message.type === "fill" || message.type === "account") {
      void this.lookAtRelay();
    } else if (message.type === "forced_close") {
      void this.look();
      void this.lookAtRelay();
    }
  }

  /** The account's open orders and forced closes. */
  async lookAtRelay(): Promise<void> {
    const { account } = this.store.state;
    if (!account || !this.config.relayAnswered) return;
    try {
      const [orders, forcedCloses] = await Promise.all([this.relay.openOrders(account), this.relay.forcedCloses(account)]);
      if (this.store.state.account === account) this.store.set({ orders, forcedCloses, relayUp: true });
    } catch (error) {
      if (error instanceof RelayError && error.code === "unreachable") this.store.set({ relayUp: false });
    }
  }

  // The wallet

  async connect(wallet: Announced, ask = true): Promise<void> {
    const [owner] = await accountsOf(wallet.provider, ask);
    if (!owner) return;
    localStorage.setItem("ballast:wallet", wallet.info.rdns);
    wallet.provider.on?.("accountsChanged", ((accounts: Address[]) => (accounts[0] ? this.own(wallet, accounts[0]) : this.disconnect())) as never);
    wallet.provider.on?.("chainChanged", ((chain: Hex) => this.store.set({ walletChain: Number(chain) })) as never);
    this.store.set({ walletChain: await chainIdOf(wallet.provider) });
    if (!this.config.rpcUrl) this.follow(wallet.provider);
    this.own(wallet, owner);
  }

  private own(wallet: Announced, owner: Address): void {
    this.store.set({ wallet, owner });
    this.subaccount(this.store.state.sub);
  }

  subaccount(sub: bigint): void {
    const { owner } = this.store.state;
    this.delegate = null;
    this.store.set({ sub, account: owner ? accountId(owner, sub) : null, view: null, orders: [], forcedCloses: null });
    void this.look();
    this.listen();
  }

  disconnect(): void {
    localStorage.removeItem("ballast:wallet");
    this.delegate = null;
    this.store.set({ wallet: null, owner: null, walletChain: null, account: null, view: null, orders: [], forcedCloses: null });
    this.listen();
  }

  async switchChain(): Promise<void> {
    const { wallet } = this.store.state;
    if (!wallet) return;
    await this.run("Switch the wallet's network", async () => {
      await switchChain(wallet.provider, this.config);
      this.store.set({ walletChain: await chainIdOf(wallet.provider) });
      return null;
    });
  }

  // What is done

  /** Shows how `work` goes, from the wallet to the block. True if it came to a good end. */
  async run(what: string, work: (sent: (transaction: Hex) => void) => Promise<string | null>): Promise<boolean> {
    const id = this.nextAction++;
    const show = (change: Partial<Action>): void => {
      const begun: Action = { id, what, stage: "wallet", title: "Confirm in your wallet", detail: "", transaction: null };
      const others = this.store.state.actions.filter((action) => action.id !== id);
      const mine = this.store.state.actions.find((action) => action.id === id) ?? begun;
      this.store.set({ actions: [{ ...mine, ...change }, ...others].slice(0, KEPT_ACTIONS) });
    };
    show({});
    try {
      const detail = await work((transaction) => show({ stage: "pending", title: "Waiting for the block", detail: "", transaction }));
      show({ stage: "done", title: "Done", detail: detail ?? "" });
      return true;
    } catch (error) {
      const { title, detail } = explain(error);
      show({ stage: "failed", title, detail });
      return false;
    } finally {
      void this.look();
      void this.lookAtRelay();
    }
  }

  dismiss(id: number): void {
    this.store.set({ actions: this.store.state.actions.filter((action) => action.id !== id) });
  }

  /** Send one transaction of the owner's and wait for it; the contract's reason is known before the wallet is asked. */
  async send(call: ContractCall, sent: (transaction: Hex) => void): Promise<void> {
    const { wallet, owner } = this.connected();
    const { client } = this.readable();
    const { request } = await client.simulateContract({ ...call, account: owner });
    const hash = await walletClient(wallet.provider, this.config, owner).writeContract(request as never);
    sent(hash);
    const receipt = await client.waitForTransactionReceipt({ hash });
    if (receipt.status !== "success") {
      await client.simulateContract({ ...call, account: owner, blockNumber: receipt.blockNumber });
      throw new Error("The transaction was reverted, and would pass now: try again");
    }
  }

  /** Let `spender` take `amount` of the collateral: by permit where the token has it, else an approval of exactly this. */
  private async allow(spender: Address, amount: bigint, sent: (transaction: Hex) => void): Promise<void> {
    const { wallet, owner } = this.connected();
    const { client } = this.readable();
    const token = { address: this.config.collateral.address, abi: tokenAbi } as const;
    const allowed = await client.readContract({ ...token, functionName: "allowance", args: [owner, spender] });
    if (allowed >= amount) return;
    const permit = await this.permitTerms(owner);
    if (!permit) {
      await this.send({ ...token, functionName: "approve", args: [spender, amount] } as ContractCall, sent);
      return;
    }
    const deadline = (await client.getBlock()).timestamp + PERMIT_SECONDS;
    const signature = await walletClient(wallet.provider, this.config, owner).signTypedData({
      account: owner,
      domain: permit.domain,
      types: {
        Permit: [
          { name: "owner", type: "address" },
          { name: "spender", type: "address" },
          { name: "value", type: "uint256" },
          { name: "nonce", type: "uint256" },
          { name: "deadline", type: "uint256" },
        ],
      },
      primaryType: "Permit",
      message: { owner, spender, value: amount, nonce: permit.nonce, deadline },
    });
    const { r, s, v, yParity } = parseSignature(signature);
    await this.send({ ...token, functionName: "permit", args: [owner, spender, amount, deadline, Number(v ?? BigInt(yParity + 27)), r, s] } as ContractCall, sent);
  }

  /** The token's own domain (EIP-5267) and the owner's nonce; null where it knows no permits. */
  private async permitTerms(owner: Address) {
    const { client } = this.readable();
    const token = { address: this.config.collateral.address, abi: tokenAbi } as const;
    try {
      const [nonce, told] = await Promise.all([
        client.readContract({ ...token, functionName: "nonces", args: [owner] }),
        client.readContract({ ...token, functionName: "eip712Domain" }),
      ]);
      const [, name, version, chainId, verifyingContract] = told;
      return verifyingContract === zeroAddress ? null : { nonce, domain: { name, version, chainId: Number(chainId), verifyingContract } };
    } catch {
      return null;
    }
  }

  /** Test collateral, worth nothing; on a local node coins for gas come first. */
  mint(amount: bigint): Promise<boolean> {
    return this.run("Test money", async (sent) => {
      const { owner } = this.connected();
      const { client } = this.readable();
      if (this.config.isLocalNode && (await client.getBalance({ address: owner })) < LOCAL_COINS) {
        await client.request({ method: "anvil_setBalance", params: [owner, toHex(LOCAL_COINS)] } as never);
      }
      await this.send({ address: this.config.collateral.address, abi: tokenAbi as Abi, functionName: "mint", args: [owner, amount] }, sent);
      return null;
    });
  }

  deposit(amount: bigint): Promise<boolean> {
    return this.run("Deposit", async (sent) => {
      const { account } = this.connected();
      const vault = this.config.contracts.MarginVault;
      await this.allow(vault, amount, sent);
      await this.send({ address: vault, abi: vaultAbi as Abi, functionName: "deposit", args: [account, amount] }, sent);
      return null;
    });
  }

  stake(amount: bigint): Promise<boolean> {
    return this.run("Stake", async (sent) => {
      const { owner } = this.connected();
      const fund = this.config.contracts.InsuranceFund;
      await this.allow(fund, amount, sent);
      await this.send({ address: fund, abi: fundAbi as Abi, functionName: "deposit", args: [amount, owner] }, sent);
      return null;
    });
  }

  /** One transaction under its name. */
  act(what: string, address: Address, abi: readonly unknown[], functionName: string, args: readonly unknown[]): Promise<boolean> {
    return this.run(what, async (sent) => {
      await this.send({ address, abi: abi as Abi, functionName, args }, sent);
      return null;
    });
  }

  /** Book what is due, pay a debt, collect a claim; tells what it brought. */
  settle(): Promise<boolean> {
    return this.run("Settle", async (sent) => {
      const { account } = this.connected();
      const { client } = this.readable();
      const { Clearinghouse, MarginVault } = this.config.contracts;
      const cash = (): Promise<bigint> => client.readContract({ address: MarginVault, abi: vaultAbi, functionName: "balance_of", args: [account] });
      const before = await cash();
      await this.send({ address: Clearinghouse, abi: clearinghouseAbi as Abi, functionName: "settle", args: [account] }, sent);
      const change = (await cash()) - before;
      return change ? `Cash ${signed(change, 2)} ${this.config.collateral.symbol}.` : "Your cash is what it was: nothing has come in yet.";
    });
  }

  // Orders

  /** Sign by the delegate key where one is in force, else by the wallet; then hand it to the relay. */
  place(order: Order): Promise<boolean> {
    return this.run(`${order.is_buy ? "Buy" : "Sell"} order`, async () => {
      const signature = await this.signOrder(order);
      const placed = await this.relay.place(order, signature);
      if (placed.in_flight !== "0") return "Matched: the fill is on its way to the chain.";
      return placed.status === "open" ? "The order is on the book." : `The order is ${placed.status}.`;
    });
  }

  private async signOrder(order: Order): Promise<Hex> {
    const { wallet, owner } = this.connected();
    const typed = typedOrder(this.domain, order);
    if (this.delegate) return this.delegate.signer.signTypedData(typed);
    return walletClient(wallet.provider, this.config, owner).signTypedData({ account: owner, ...typed });
  }

  cancel(order: RelayOrder): Promise<boolean> {
    return this.run("Cancel at the relay", async () => {
      const { wallet, owner } = this.connected();
      const typed = typedCancel(this.domain, order.hash);
      const signature = this.delegate
        ? await this.delegate.signer.signTypedData(typed)
        : await walletClient(wallet.provider, this.config, owner).signTypedData({ account: owner, ...typed });
      await this.relay.cancel(order.hash, signature);
      return "Off the book. Whoever already has the signed order could still match it: cancel on chain to be certain.";
    });
  }

  cancelOnChain(hash: Hex): Promise<boolean> {
    return this.act("Cancel on chain", this.config.contracts.OrderSettlement, settlementAbi, "cancel", [hash]);
  }

  /** Every order of the account signed before now, in one transaction and without the relay. */
  cancelAllOnChain(): Promise<boolean> {
    return this.act("Cancel all on chain", this.config.contracts.OrderSettlement, settlementAbi, "cancel_below", [this.store.state.account, newSalt()]);
  }

  get domain() {
    return domainOf(this.config.chain_id, this.config.contracts.OrderSettlement);
  }

  // What there has to be

  connected(): { wallet: Announced; owner: Address; account: Hex } {
    const { wallet, owner, account, walletChain } = this.store.state;
    if (!wallet || !owner || !account) throw new Error("Connect a wallet first");
    if (walletChain !== this.config.chain_id) throw new Error(`The wallet is on chain ${walletChain}; switch it to chain ${this.config.chain_id}`);
    return { wallet, owner, account };
  }

  readable(): Reader {
    if (!this.reader) throw new Error("No node to read the chain from: connect a wallet, or name an rpc_url in config.json");
    return this.reader;
  }
}
