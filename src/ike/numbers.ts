/**
 * The numbers of IANA "ikev2-parameters" that we speak of, under the registry's names. A number that is not
 * in a table still prints (`ENCR-1024`).
 */

/** IKEv2 Exchange Types. */
export const Exchange = {
  IKE_SA_INIT: 34,
  IKE_AUTH: 35,
  CREATE_CHILD_SA: 36,
  INFORMATIONAL: 37,
  IKE_SESSION_RESUME: 38,
  IKE_INTERMEDIATE: 43,
  IKE_FOLLOWUP_KE: 44,
} as const;

/** IKEv2 Payload Types. */
export const PayloadType = {
  None: 0,
  SA: 33,
  KE: 34,
  IDi: 35,
  IDr: 36,
  CERT: 37,
  CERTREQ: 38,
  AUTH: 39,
  Nonce: 40,
  Notify: 41,
  Delete: 42,
  Vendor: 43,
  TSi: 44,
  TSr: 45,
  SK: 46,
  CP: 47,
  EAP: 48,
  SKF: 53,
} as const;

/** IKEv2 Security Protocol Identifiers. */
export const Protocol = { NONE: 0, IKE: 1, AH: 2, ESP: 3 } as const;

/** IKEv2 Transform Type Values; 5 is "Sequence Numbers" since RFC 9827, 6 to 12 come from RFC 9370 §4. */
export const TransformType = {
  ENCR: 1,
  PRF: 2,
  INTEG: 3,
  KE: 4,
  SN: 5,
  ADDKE1: 6,
  ADDKE2: 7,
  ADDKE3: 8,
  ADDKE4: 9,
  ADDKE5: 10,
  ADDKE6: 11,
  ADDKE7: 12,
} as const;

/** The types of additional key exchanges, in the order in which they are done (RFC 9370 §2.2.1). */
export const additionalTypes: readonly number[] = [6, 7, 8, 9, 10, 11, 12];

/** Transform Type 1, Encryption Algorithm. */
export const Encr = {
  ENCR_NULL: 11,
  ENCR_AES_CBC: 12,
  ENCR_AES_CTR: 13,
  ENCR_AES_CCM_16: 16,
  ENCR_AES_GCM_8: 18,
  ENCR_AES_GCM_12: 19,
  ENCR_AES_GCM_16: 20,
  ENCR_CHACHA20_POLY1305: 28,
} as const;

/** Transform Type 2, Pseudorandom Function. */
export const Prf = {
  PRF_HMAC_MD5: 1,
  PRF_HMAC_SHA1: 2,
  PRF_AES128_XCBC: 4,
  PRF_HMAC_SHA2_256: 5,
  PRF_HMAC_SHA2_384: 6,
  PRF_HMAC_SHA2_512: 7,
  PRF_AES128_CMAC: 8,
} as const;

/** Transform Type 3, Integrity Algorithm. */
export const Integ = {
  NONE: 0,
  AUTH_HMAC_MD5_96: 1,
  AUTH_HMAC_SHA1_96: 2,
  AUTH_AES_XCBC_96: 5,
  AUTH_HMAC_SHA2_256_128: 12,
  AUTH_HMAC_SHA2_384_192: 13,
  AUTH_HMAC_SHA2_512_256: 14,
} as const;

/** Transform Type 4, Key Exchange Method, and the types ADDKE1 to 7; ML-KEM by draft-ietf-ipsecme-ikev2-mlkem. */
export const Group = {
  NONE: 0,
  MODP_768: 1,
  MODP_1024: 2,
  MODP_1536: 5,
  MODP_2048: 14,
  MODP_3072: 15,
  MODP_4096: 16,
  MODP_6144: 17,
  MODP_8192: 18,
  ECP_256: 19,
  ECP_384: 20,
  ECP_521: 21,
  CURVE25519: 31,
  CURVE448: 32,
  ML_KEM_512: 35,
  ML_KEM_768: 36,
  ML_KEM_1024: 37,
} as const;

/** Transform Type 5, Sequence Numbers: 32 bits, or 64 partially transmitted (ESN). */
export const SequenceNumbers = { SN_32: 0, SN_64_PARTIAL: 1 } as const;

/** IKEv2 Identification Payload ID Types. */
export const IdType = {
  ID_IPV4_ADDR: 1,
  ID_FQDN: 2,
  ID_RFC822_ADDR: 3,
  ID_IPV6_ADDR: 5,
  ID_DER_ASN1_DN: 9,
  ID_DER_ASN1_GN: 10,
  ID_KEY_ID: 11,
  ID_FC_NAME: 12,
  ID_NULL: 13,
} as const;

/** IKEv2 Authentication Method. */
export const AuthMethod = {
  RSA_DIGITAL_SIGNATURE: 1,
  SHARED_KEY_MIC: 2,
  DSS_DIGITAL_SIGNATURE: 3,
  ECDSA_SHA2_256_P256: 9,
  ECDSA_SHA2_384_P384: 10,
  ECDSA_SHA2_512_P521: 11,
  GENERIC_SECURE_PASSWORD: 12,
  NULL: 13,
  DIGITAL_SIGNATURE: 14,
} as const;

/** IKEv2 Certificate Encodings; those by URL (12, 13) are taken from nobody. */
export const CertEncoding = { X509_SIGNATURE: 4, RAW_PUBLIC_KEY: 15 } as const;

/** IKEv2 Hash Algorithms (RFC 7427 §7, RFC 8420 §4). */
export const HashAlgorithm = { SHA1: 1, SHA2_256: 2, SHA2_384: 3, SHA2_512: 4, IDENTITY: 5 } as const;

/** Traffic Selector Types. */
export const TsType = { TS_IPV4_ADDR_RANGE: 7, TS_IPV6_ADDR_RANGE: 8 } as const;

/** IKEv2 Notify Message Types; below 16384 they are errors. */
export const NotifyType = {
  UNSUPPORTED_CRITICAL_PAYLOAD: 1,
  INVALID_IKE_SPI: 4,
  INVALID_MAJOR_VERSION: 5,
  INVALID_SYNTAX: 7,
  INVALID_MESSAGE_ID: 9,
  INVALID_SPI: 11,
  NO_PROPOSAL_CHOSEN: 14,
  INVALID_KE_PAYLOAD: 17,
  AUTHENTICATION_FAILED: 24,
  SINGLE_PAIR_REQUIRED: 34,
  NO_ADDITIONAL_SAS: 35,
  INTERNAL_ADDRESS_FAILURE: 36,
  FAILED_CP_REQUIRED: 37,
  TS_UNACCEPTABLE: 38,
  INVALID_SELECTORS: 39,
  UNACCEPTABLE_ADDRESSES: 40,
  UNEXPECTED_NAT_DETECTED: 41,
  TEMPORARY_FAILURE: 43,
  CHILD_SA_NOT_FOUND: 44,
  STATE_NOT_FOUND: 47,
  INITIAL_CONTACT: 16384,
  SET_WINDOW_SIZE: 16385,
  ADDITIONAL_TS_POSSIBLE: 16386,
  IPCOMP_SUPPORTED: 16387,
  NAT_DETECTION_SOURCE_IP: 16388,
  NAT_DETECTION_DESTINATION_IP: 16389,
  COOKIE: 16390,
  USE_TRANSPORT_MODE: 16391,
  HTTP_CERT_LOOKUP_SUPPORTED: 16392,
  REKEY_SA: 16393,
  ESP_TFC_PADDING_NOT_SUPPORTED: 16394,
  NON_FIRST_FRAGMENTS_ALSO: 16395,
  MOBIKE_SUPPORTED: 16396,
  AUTH_LIFETIME: 16403,
  MULTIPLE_AUTH_SUPPORTED: 16404,
  REDIRECT_SUPPORTED: 16406,
  REDIRECT: 16407,
  TICKET_REQUEST: 16412,
  CHILDLESS_IKEV2_SUPPORTED: 16418,
  QUICK_CRASH_DETECTION: 16419,
  SENDER_REQUEST_ID: 16429,
  IKEV2_FRAGMENTATION_SUPPORTED: 16430,
  SIGNATURE_HASH_ALGORITHMS: 16431,
  USE_PPK: 16435,
  PPK_IDENTITY: 16436,
  NO_PPK_AUTH: 16437,
  INTERMEDIATE_EXCHANGE_SUPPORTED: 16438,
  ADDITIONAL_KEY_EXCHANGE: 16441,
  SUPPORTED_AUTH_METHODS: 16443,
  IKE_SA_INIT_FULL_TRANSCRIPT_AUTH: 16447,
} as const;

/** `true` for the notify types that report an error (RFC 7296 §3.10.1). */
export function isErrorNotify(type: number): boolean {
  return type < 16384;
}

/** `IKE_AUTH`, or `EXCHANGE-240`. */
export const exchangeName = namer(Exchange, 'EXCHANGE');
/** `Nonce`, or `PAYLOAD-200`. */
export const payloadName = namer(PayloadType, 'PAYLOAD');
/** `ESP`, or `PROTOCOL-9`. */
export const protocolName = namer(Protocol, 'PROTOCOL');
/** `INTEG`, or `TRANSFORM-6`. */
export const transformTypeName = namer(TransformType, 'TRANSFORM');
/** `ENCR_AES_GCM_16`, or `ENCR-1024`. */
export const encrName = namer(Encr, 'ENCR');
/** `PRF_HMAC_SHA2_256`, or `PRF-1024`. */
export const prfName = namer(Prf, 'PRF');
/** `AUTH_HMAC_SHA2_256_128`, or `INTEG-1024`. */
export const integName = namer(Integ, 'INTEG');
/** `CURVE25519`, or `GROUP-1024`. */
export const groupName = namer(Group, 'GROUP');
/** `SN_64_PARTIAL`, or `SN-7`. */
export const sequenceNumbersName = namer(SequenceNumbers, 'SN');
/** `ID_NULL`, or `ID-99`. */
export const idTypeName = namer(IdType, 'ID');
/** `DIGITAL_SIGNATURE`, or `AUTH-99`. */
export const authMethodName = namer(AuthMethod, 'AUTH');
/** `SHA2_256`, or `HASH-99`. */
export const hashName = namer(HashAlgorithm, 'HASH');
/** `COOKIE`, or `NOTIFY-40960`. */
export const notifyName = namer(NotifyType, 'NOTIFY');

/** `ENCR_AES_CBC`, `CURVE25519`, …: the name of a transform of any type. */
export function transformName(type: number, id: number): string {
  switch (type) {
    case TransformType.ENCR:
      return encrName(id);
    case TransformType.PRF:
      return prfName(id);
    case TransformType.INTEG:
      return integName(id);
    case TransformType.KE:
      return groupName(id);
    case TransformType.SN:
      return sequenceNumbersName(id);
    default:
      if (additionalTypes.includes(type)) return groupName(id);
      return `${transformTypeName(type)}:${id}`;
  }
}

function namer(table: Readonly<Record<string, number>>, prefix: string): (id: number) => string {
  const names = new Map(Object.entries(table).map(([name, id]) => [id, name]));
  return (id) => names.get(id) ?? `${prefix}-${id}`;
}
