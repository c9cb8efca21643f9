/** What can be put wrong in a source file, one small thing at a time. */
import { createRequire } from 'node:module';
import type * as TypeScript from 'typescript';

const ts = createRequire(import.meta.url)('typescript') as typeof TypeScript;

/** A change of one place; `id` stays the same while the line does. */
export interface Mutant {
  readonly file: string;
  readonly line: number;
  /** `file: the line's text: what is changed`; a number at the end tells equal ones apart. */
  readonly id: string;
  readonly start: number;
  readonly end: number;
  readonly replacement: string;
  /** Where it is reached, at the latest. */
  readonly reachedAt: number;
  /** It is in no function: it works while the module is loaded. */
  readonly isTop: boolean;
}

const swapped = new Map<TypeScript.SyntaxKind, readonly string[]>([
  [ts.SyntaxKind.EqualsEqualsEqualsToken, ['!==']],
  [ts.SyntaxKind.ExclamationEqualsEqualsToken, ['===']],
  [ts.SyntaxKind.LessThanToken, ['<=', '>=']],
  [ts.SyntaxKind.LessThanEqualsToken, ['<', '>']],
  [ts.SyntaxKind.GreaterThanToken, ['>=', '<=']],
  [ts.SyntaxKind.GreaterThanEqualsToken, ['>', '<']],
  [ts.SyntaxKind.AmpersandAmpersandToken, ['||']],
  [ts.SyntaxKind.BarBarToken, ['&&']],
  [ts.SyntaxKind.PlusToken, ['-']],
  [ts.SyntaxKind.MinusToken, ['+']],
  [ts.SyntaxKind.AmpersandToken, ['|']],
]);

/** All mutants of a file, in the order of their places. */
export function mutantsOf(file: string, text: string): Mutant[] {
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true);
  const found: Omit<Mutant, 'id'>[] = [];
  const replace = (node: TypeScript.Node, replacement: string, whole = node): void => {
    const start = node.getStart(source);
    const line = source.getLineAndCharacterOfPosition(start).line + 1;
    const isTop = ts.findAncestor(node, ts.isFunctionLike) === undefined;
    found.push({
      file,
      line,
      start,
      end: node.getEnd(),
      replacement,
      reachedAt: whole.getStart(source),
      isTop,
    });
  };
  const negate = (node: TypeScript.Expression): void => {
    replace(node, `!(${node.getText(source)})`);
  };
  const visit = (node: TypeScript.Node): void => {
    if (ts.isTypeNode(node) || ts.isInterfaceDeclaration(node) || ts.isTypeAliasDeclaration(node)) return;
    if (ts.isImportDeclaration(node)) return;
    if (ts.isIfStatement(node) || ts.isWhileStatement(node)) negate(node.expression);
    else if (ts.isConditionalExpression(node)) negate(node.condition);
    else if (ts.isBinaryExpression(node)) {
      if (!isText(node))
        for (const other of swapped.get(node.operatorToken.kind) ?? [])
          replace(node.operatorToken, other, node);
      if (node.operatorToken.kind === ts.SyntaxKind.QuestionQuestionToken) {
        // Only where what stands after it decides something by itself.
        if (!ts.isLiteralExpression(node.right)) replace(node, `(${node.left.getText(source)})`);
      }
    } else if (ts.isPrefixUnaryExpression(node) && node.operator === ts.SyntaxKind.ExclamationToken)
      replace(node, `(${node.operand.getText(source)})`);
    else if (ts.isNumericLiteral(node)) {
      const value = Number(node.text.replaceAll('_', ''));
      replace(node, String(value + 1));
      if (value > 0) replace(node, String(value - 1));
    } else if (node.kind === ts.SyntaxKind.TrueKeyword) replace(node, 'false');
    else if (node.kind === ts.SyntaxKind.FalseKeyword) replace(node, 'true');
    else if (ts.isExpressionStatement(node)) replace(node, ';');
    else if (ts.isContinueStatement(node) || ts.isBreakStatement(node)) {
      if (!ts.isCaseClause(node.parent)) replace(node, ';');
    } else if (ts.isReturnStatement(node) && ts.isIfStatement(node.parent)) replace(node, ';');
    else if (
      ts.isReturnStatement(node) &&
      node.expression &&
      ts.isBlock(node.parent) &&
      ts.isIfStatement(node.parent.parent)
    )
      replace(node, ';');
    ts.forEachChild(node, visit);
  };
  visit(source);
  const lines = text.split('\n');
  const seen = new Map<string, number>();
  return found.map((mutant) => {
    const was = text.slice(mutant.start, mutant.end);
    const id = `${file}: ${(lines[mutant.line - 1] ?? '').trim()}: ${short(was)} -> ${short(mutant.replacement)}`;
    const count = (seen.get(id) ?? 0) + 1;
    seen.set(id, count);
    return { ...mutant, id: count === 1 ? id : `${id} #${count}` };
  });

  /** `'a' + b` is put together, not added. */
  function isText(node: TypeScript.BinaryExpression): boolean {
    return [node.left, node.right].some((n) => ts.isStringLiteralLike(n) || ts.isTemplateExpression(n));
  }
}

function short(text: string): string {
  const line = text.replaceAll(/\s+/g, ' ');
  return line.length > 60 ? `${line.slice(0, 57)}...` : line;
}

/** The file with the mutant in it. */
export function mutated(text: string, mutant: Mutant): string {
  return text.slice(0, mutant.start) + mutant.replacement + text.slice(mutant.end);
}
