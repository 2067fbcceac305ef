/** What went wrong, in plain words. */

import { BaseError, ContractFunctionRevertedError, UserRejectedRequestError } from "viem";

import { REASONS } from "./generated/reasons.ts";
import { RelayError } from "./relay.ts";

export interface Explained {
  title: string;
  detail: string;
  /** The contract's own words, where it spoke. */
  reason: string;
}

/** A contract's reason, such as `margin: below initial`. */
export function explainReason(reason: string): Explained {
  const known = REASONS[reason];
  if (!known) return { title: "The contract refused this", detail: reason, reason };
  const remedy = known.remedy === "-" ? "" : ` What to do: ${known.remedy}.`;
  return { title: `Refused: ${reason}`, detail: `${sentence(known.when)}${remedy}`, reason };
}

/** Any failure of a wallet, the node, the relay or a contract. */
export function explain(error: unknown): Explained {
  if (error instanceof RelayError) {
    const known = REASONS[error.message];
    if (known) return explainReason(error.message);
    return { title: "The relay refused this", detail: `${sentence(error.message)} ${sentence(error.hint)}`.trim(), reason: error.code };
  }
  if (isRejection(error)) return { title: "You declined in the wallet", detail: "Nothing was sent. Try again when you are ready.", reason: "" };
  if (error instanceof BaseError) {
    const reverted = error.walk((cause) => cause instanceof ContractFunctionRevertedError);
    if (reverted instanceof ContractFunctionRevertedError && reverted.reason) return explainReason(reverted.reason);
    const inWords = reasonIn(`${error.shortMessage} ${error.details}`);
    if (inWords) return explainReason(inWords);
    return { title: "That did not work", detail: sentence(error.shortMessage), reason: "" };
  }
  const words = error instanceof Error ? error.message : String(error);
  const found = reasonIn(words);
  return found ? explainReason(found) : { title: "That did not work", detail: sentence(words), reason: "" };
}

/** The longest known reason that a message contains: nodes and wallets wrap it in words of their own. */
export function reasonIn(words: string): string | null {
  const found = Object.keys(REASONS).filter((reason) => words.includes(reason));
  return found.sort((a, b) => b.length - a.length)[0] ?? null;
}

function isRejection(error: unknown): boolean {
  if (error instanceof BaseError && error.walk((cause) => cause instanceof UserRejectedRequestError)) return true;
  return typeof error === "object" && error !== null && "code" in error && error.code === 4001;
}

function sentence(text: string): string {
  if (!text) return "";
  const begun = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(begun) ? begun : `${begun}.`;
}
