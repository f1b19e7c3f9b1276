/** The kinds of task, with their schemas and examples. */
import { Module } from '@nestjs/common';
import { KindsController } from './kinds.controller.ts';

@Module({ controllers: [KindsController] })
export class KindsModule {}
