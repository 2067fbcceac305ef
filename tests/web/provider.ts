// An EIP-1193 wallet for tests, announced by EIP-6963: it holds one key, signs really, and declines when it is told to.

import { createPublicClient, createWalletClient, defineChain, http, type Hex } from "viem";
import { privateKeyToAccount } from "viem/accounts";

interface Settings {
  rpc: string;
  key: Hex;
  chainId: number;
  /** What the wallet says its chain is, until it is asked to switch. */
  startsOn: number;
}

interface TestWallet extends Settings {
  declines: boolean;
  asked: { method: string; params: unknown }[];
}

declare global {
  interface Window {
    testWalletSettings: Settings;
    testWallet: TestWallet;
  }
}

const settings = window.testWalletSettings;
const state: TestWallet = { ...settings, declines: false, asked: [] };
window.testWallet = state;

const account = privateKeyToAccount(settings.key);
const chain = defineChain({ id: settings.chainId, name: "test", nativeCurrency: { name: "Ether", symbol: "ETH", decimals: 18 }, rpcUrls: { default: { http: [settings.rpc] } } });
const node = createPublicClient({ chain, transport: http(settings.rpc) });
const signer = createWalletClient({ account, chain, transport: http(settings.rpc) });
const listeners: Record<string, ((value: unknown) => void)[]> = {};
let current = settings.startsOn;

async function request({ method, params }: { method: string; params?: unknown }): Promise<unknown> {
  const given = (params ?? []) as never[];
  state.asked.push({ method, params: given });
  const opensWindow = ["eth_requestAccounts", "eth_sendTransaction", "eth_signTypedData_v4", "wallet_switchEthereumChain"];
  if (state.declines && opensWindow.includes(method)) throw Object.assign(new Error("User rejected the request."), { code: 4001 });
  switch (method) {
    case "eth_requestAccounts":
    case "eth_accounts":
      return [account.address];
    case "eth_chainId":
      return `0x${current.toString(16)}`;
    case "wallet_switchEthereumChain":
      current = Number((given[0] as { chainId: Hex }).chainId);
      listeners["chainChanged"]?.forEach((listener) => listener(`0x${current.toString(16)}`));
      return null;
    case "eth_signTypedData_v4":
      return account.signTypedData(revived(JSON.parse(given[1])) as never);
    case "eth_sendTransaction": {
      const { to, data, value } = given[0] as { to: Hex; data: Hex; value?: Hex };
      return signer.sendTransaction({ to, data, value: BigInt(value ?? "0x0") });
    }
    default:
      return node.request({ method, params: given } as never);
  }
}

/** Typed data without the domain's own type, which viem adds. */
function revived(typed: { types: Record<string, unknown> }): unknown {
  const { EIP712Domain: _, ...types } = typed.types;
  return { ...typed, types };
}

const provider = {
  request,
  on: (event: string, listener: (value: unknown) => void) => (listeners[event] ??= []).push(listener),
};
const detail = Object.freeze({ info: { uuid: "00000000-0000-4000-8000-000000000001", name: "Test Wallet", icon: "data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg'/>", rdns: "test.wallet" }, provider });
const announce = (): boolean => window.dispatchEvent(new CustomEvent("eip6963:announceProvider", { detail }));
window.addEventListener("eip6963:requestProvider", announce);
announce();
